import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import type { Life, World } from './world.js';

/** The far end of an upload, in the collector. */
export interface ServerStream {
  message(bytes: Uint8Array): void;
  halfClose(): void;
  cancel(): void;
}

/** What the collector does to an upload. */
export interface StreamPeer {
  answer(bytes: Uint8Array): void;
  fail(message: string): void;
  pause(): void;
  resume(): void;
}

/** What a stream tells the agent. */
export interface CallEvents {
  writable(): void;
  answered(bytes: Uint8Array): void;
  failed(failure: GrpcOutcome): void;
}

export function unavailable(message: string): GrpcOutcome {
  return { kind: 'unavailable', tls: undefined, code: 'network', message, hint: { kind: 'none' } };
}

/** What a call needs of its connection. */
export interface Carrier {
  readonly device: string;
  readonly world: World;
  toCollector(deliver: () => void): void;
  toAgent(deliver: () => void, isAnswer: boolean): void;
}

/** Opens the far end of an upload. */
export interface StreamOpener {
  readonly life: Life;
  open(device: string, peer: StreamPeer): ServerStream;
}

/** Messages that the collector has not read; beyond it the agent is told to wait. */
const WINDOW_MESSAGES = 2;

/** A client stream on a connection. */
export class SimCall {
  readonly #connection: Carrier;
  readonly #events: CallEvents;
  readonly #over: () => void;
  /** What has arrived while the collector does not read. */
  readonly #waiting: (() => void)[] = [];
  #server: ServerStream | undefined;
  #paused = false;
  #unread = 0;
  #blocked = false;
  /** Nothing is told to the agent any more. */
  #ended = false;
  /** Nothing is told to the collector any more. */
  #serverEnded = false;

  constructor(connection: Carrier, events: CallEvents, over: () => void) {
    this.#connection = connection;
    this.#events = events;
    this.#over = over;
  }

  write(bytes: Uint8Array): void {
    this.#unread++;
    this.#connection.toCollector(() =>
      this.#read(() => {
        this.#unread--;
        this.#server?.message(bytes);
        if (this.#blocked) this.#writable();
      }),
    );
    if (this.#unread >= WINDOW_MESSAGES) this.#blocked = true;
    else this.#writable();
  }

  finish(): void {
    this.#connection.toCollector(() => this.#read(() => this.#server?.halfClose()));
  }

  cancel(): void {
    this.#end();
    this.#connection.toCollector(() => this.abandon());
  }

  /** The stream has arrived. */
  opened(listener: StreamOpener): void {
    if (this.#serverEnded) return;
    this.#server = listener.open(this.#connection.device, {
      answer: (bytes) => {
        this.#serverEnded = true;
        this.#connection.toAgent(() => this.#finishWith(() => this.#events.answered(bytes)), true);
      },
      fail: (message) => {
        this.#serverEnded = true;
        const failure: GrpcOutcome = { kind: 'invalid', code: 'usage', message, hint: { kind: 'none' } };
        this.#connection.toAgent(() => this.#finishWith(() => this.#events.failed(failure)), true);
      },
      pause: () => {
        this.#paused = true;
      },
      resume: () => {
        this.#paused = false;
        // From a turn of its own, as a socket's data comes.
        this.#connection.world.schedule(0, () => this.#drain(), listener.life);
      },
    });
  }

  /** The collector learns that nobody waits for the answer. */
  abandon(): void {
    if (this.#serverEnded) return;
    this.#serverEnded = true;
    this.#server?.cancel();
  }

  /** The agent learns that the connection is gone. */
  broken(): void {
    this.#finishWith(() => this.#events.failed(unavailable('the connection was cut')));
  }

  #finishWith(tell: () => void): void {
    if (this.#ended) return;
    this.#end();
    tell();
  }

  #end(): void {
    this.#ended = true;
    this.#over();
  }

  #writable(): void {
    this.#blocked = false;
    this.#connection.toAgent(() => {
      if (!this.#ended) this.#events.writable();
    }, false);
  }

  #read(act: () => void): void {
    this.#waiting.push(act);
    this.#drain();
  }

  #drain(): void {
    while (!this.#paused && this.#waiting.length > 0) {
      const act = this.#waiting.shift()!;
      if (!this.#serverEnded) act();
    }
  }
}
