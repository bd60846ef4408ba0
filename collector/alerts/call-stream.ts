import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Scheduler } from '@tributary/core/clock/clock';
import { CallError } from '../server/call-error.js';

/**
 * A peer that reads nothing for so long is gone, or frozen. It is cut off, so that what waits for it does not stay in
 * memory; it comes back with its cursor.
 */
export const DRAIN_TIMEOUT_MS = 30_000;

/** Writing to a server stream at the pace of its reader: at most one refused message waits in memory. */
export class CallStream<Response> {
  readonly #call: Pick<ServerWritableStream<unknown, Response>, 'write' | 'on' | 'off' | 'cancelled'>;
  readonly #scheduler: Scheduler;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(call: ServerWritableStream<unknown, Response>, scheduler: Scheduler) {
    this.#call = call;
    this.#scheduler = scheduler;
    const wake = () => this.#wake?.();
    const end = () => {
      this.#ended = true;
      wake();
    };
    call.on('drain', wake);
    call.on('cancelled', end);
    call.on('close', end);
    // A write to a stream that is going away reports here; the end of the stream is what counts.
    call.on('error', end);
  }

  /** The peer has gone. */
  get ended(): boolean {
    return this.#ended || this.#call.cancelled;
  }

  /** Writes, and waits until the peer has taken enough for the next. Throws a `CallError` when it takes nothing. */
  async write(message: Response): Promise<void> {
    if (this.ended || this.#call.write(message)) return;
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#scheduler.setTimer(DRAIN_TIMEOUT_MS, () => {
        this.#wake = undefined;
        reject(new CallError('exhausted', 'you do not read; the stream ends here, resume where you are'));
      });
      this.#wake = () => {
        this.#wake = undefined;
        cancel();
        resolve();
      };
      if (this.ended) this.#wake();
    });
  }
}
