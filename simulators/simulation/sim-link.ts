import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import type { Chance } from './chance.js';
import { type CallEvents, type ServerStream, SimCall, type StreamPeer, unavailable } from './sim-call.js';
import type { Life, World } from './world.js';

/** What became of a Register call. */
export type RegisterReply =
  | { reply: 'answer'; bytes: Uint8Array }
  | { reply: 'failure'; failure: GrpcOutcome; conflict: boolean };

/** Who listens at the far end; nobody does while `life` is over. */
export interface Listener {
  readonly life: Life;
  register(device: string, request: Uint8Array, reply: (reply: RegisterReply) => void): void;
  open(device: string, peer: StreamPeer): ServerStream;
}

/** What a connection tells the agent. */
export interface ConnectionEvents {
  connected(): void;
  connectFailed(failure: GrpcOutcome): void;
  disconnected(): void;
}

/** How long one end may take to learn of the other's end: a reset, up to a keepalive that goes unanswered. */
const NOTICE_MS_MIN = 1;
const NOTICE_MS_MAX = 40_000;

/** The network between the agents and the collector, with the faults that it has at the moment. */
export class SimNetwork {
  readonly world: World;
  /** Of each machine, so that one does not disturb another. */
  readonly #chances = new Map<string, Chance>();
  readonly #newChance: () => Chance;
  /** One for each collector's address. */
  readonly listeners: (Listener | undefined)[] = [];
  /** Nobody reaches anybody. */
  isDown = false;
  /** Devices that reach nobody. */
  readonly cutOff = new Set<string>();
  /** One way, a message takes between these. */
  delayMs = { min: 1, max: 30 };
  /** Nothing arrives before this. */
  stalledUntilMs = 0;
  /** How many of the next answers are lost, with their connection. */
  answersToLose = 0;
  readonly connections = new Set<SimConnection>();

  constructor(world: World, newChance: () => Chance) {
    this.world = world;
    this.#newChance = newChance;
  }

  connect(machine: string, device: string, life: Life, events: ConnectionEvents): SimConnection {
    let chance = this.#chances.get(machine);
    if (chance === undefined) {
      chance = this.#newChance();
      this.#chances.set(machine, chance);
    }
    return new SimConnection(this, chance, machine, device, life, events);
  }

  isReachable(machine: string): boolean {
    return !this.isDown && !this.cutOff.has(machine);
  }

  /** Where nobody listens any more, connections end. */
  cutFrom(listener: Listener, silently: boolean): void {
    for (const connection of this.connections) {
      if (connection.listener === listener) connection.cut(silently);
    }
  }

  /** Cuts the connections of a machine, or all. `silently`: both ends have to find out by themselves. */
  cut(silently: boolean, machine?: string): void {
    for (const connection of this.connections) {
      if (machine === undefined || connection.machine === machine) connection.cut(silently);
    }
  }
}

/** One connection: messages arrive in order in each direction, late, or not at all when it is cut before. */
export class SimConnection {
  readonly machine: string;
  readonly device: string;
  readonly #network: SimNetwork;
  readonly #chance: Chance;
  /** Of the agent's process. */
  readonly #life: Life;
  readonly #events: ConnectionEvents;
  readonly #calls = new Set<SimCall>();
  #listener: Listener | undefined;
  #state: 'connecting' | 'ready' | 'cut' | 'closed' = 'connecting';
  /** Set once: nothing that was on its way arrives. */
  #isCut = false;
  #upMs = 0;
  #downMs = 0;

  constructor(
    network: SimNetwork,
    chance: Chance,
    machine: string,
    device: string,
    life: Life,
    events: ConnectionEvents,
  ) {
    this.#network = network;
    this.#chance = chance;
    this.machine = machine;
    this.device = device;
    this.#life = life;
    this.#events = events;
    network.connections.add(this);
    this.#handshake();
  }

  get world(): World {
    return this.#network.world;
  }

  get listener(): Listener | undefined {
    return this.#listener;
  }

  register(request: Uint8Array, done: (reply: RegisterReply) => void): void {
    this.toCollector((listener) =>
      listener.register(this.device, request, (reply) => this.toAgent(() => done(reply), true)),
    );
  }

  upload(events: CallEvents): SimCall {
    const call = new SimCall(this, events, () => this.#calls.delete(call));
    this.#calls.add(call);
    this.toCollector((listener) => call.opened(listener));
    return call;
  }

  /** The agent leaves, or its process has ended: what is on its way still arrives, then the collector learns of it. */
  close(): void {
    if (this.#state === 'closed') return;
    const wasReady = this.#state === 'ready';
    if (wasReady) {
      for (const call of this.#calls) this.toCollector(() => call.abandon());
    }
    this.#state = 'closed';
    this.#network.connections.delete(this);
  }

  /** What is on its way is lost. */
  cut(silently: boolean): void {
    if (this.#state !== 'ready') return;
    this.#state = 'cut';
    this.#isCut = true;
    this.#network.connections.delete(this);
    this.world.trace(this.machine, silently ? 'connection cut silently' : 'connection cut');
    for (const call of this.#calls) {
      this.world.schedule(this.#noticeMs(), () => call.abandon(), this.#listener?.life);
    }
    if (silently) return;
    const noticeMs = this.#chance.between(NOTICE_MS_MIN, 50);
    const linkFirst = this.#chance.is(0.5);
    const tell = () => {
      if (this.#state === 'cut') this.#events.disconnected();
    };
    this.world.schedule(linkFirst ? noticeMs : noticeMs + 1, tell, this.#life);
    for (const call of this.#calls) {
      this.world.schedule(noticeMs + 0.5, () => call.broken(), this.#life);
    }
  }

  /** Delivers to the collector, after everything that was sent before. */
  toCollector(deliver: (listener: Listener) => void): void {
    if (this.#state !== 'ready') return;
    const listener = this.#listener!;
    this.#upMs = this.#arrivalMs(this.#upMs);
    const arrive = () => {
      if (!this.#isCut) deliver(listener);
    };
    this.world.schedule(this.#upMs - this.world.nowMs, arrive, listener.life);
  }

  /** Delivers to the agent, or loses the message with the connection when it is an answer and its turn to be lost. */
  toAgent(deliver: () => void, isAnswer: boolean): void {
    if (this.#state !== 'ready') return;
    const network = this.#network;
    if (isAnswer && network.answersToLose > 0) {
      network.answersToLose--;
      this.world.trace(this.machine, 'an answer is lost');
      this.cut(this.#chance.is(0.3));
      return;
    }
    this.#downMs = this.#arrivalMs(this.#downMs);
    const arrive = () => {
      if (this.#state === 'ready') deliver();
    };
    this.world.schedule(this.#downMs - this.world.nowMs, arrive, this.#life);
  }

  #arrivalMs(lastMs: number): number {
    const { delayMs, stalledUntilMs } = this.#network;
    return Math.max(lastMs, stalledUntilMs, this.world.nowMs + this.#chance.between(delayMs.min, delayMs.max));
  }

  #noticeMs(): number {
    return this.#chance.magnitude(NOTICE_MS_MIN, NOTICE_MS_MAX);
  }

  #handshake(): void {
    const network = this.#network;
    const chance = this.#chance;
    const roundTripsMs = 3 * chance.between(network.delayMs.min, network.delayMs.max);
    const arrive = () => {
      if (this.#state !== 'connecting') return;
      const listener = chance.pick(network.listeners);
      if (!network.isReachable(this.machine)) {
        // Packets are dropped without a word, or a router says that there is no way.
        if (chance.is(0.5)) return;
        this.#state = 'cut';
        this.#events.connectFailed(unavailable('no route to host'));
      } else if (listener === undefined || !listener.life.alive) {
        this.#state = 'cut';
        this.#events.connectFailed(unavailable('connection refused'));
      } else if (listener.life.frozenUntilMs !== undefined && listener.life.frozenUntilMs > this.world.nowMs) {
        // Its machine takes the connection, and nobody ever speaks.
        return;
      } else {
        this.#state = 'ready';
        this.#listener = listener;
        this.#events.connected();
      }
      if (this.#state === 'cut') network.connections.delete(this);
    };
    const delayMs = Math.max(roundTripsMs, network.stalledUntilMs - this.world.nowMs);
    this.world.schedule(delayMs, arrive, this.#life);
  }
}
