/** What is let in, however many call. The defaults stand in the configuration's schema, each with its reason. */
export interface AdmissionLimits {
  /** Handshakes that may begin a second on average, and at once after a quiet time. */
  handshakesPerSecond: number;
  handshakesBurst: number;
  /** Handshakes under way at the most. */
  handshakesMax: number;
  /** Connections at the most, those under way included. */
  connectionsMax: number;
  /** Connections that wait for their turn at the most, and for how long. */
  waitingMax: number;
  waitMsMax: number;
}

/** Why a connection is closed before its handshake. */
export type RefusalReason = 'connections' | 'waiting' | 'waited';

/**
 * Decides which new connections may begin their handshake, and when. A handshake costs a thousand times what a refusal
 * costs, so when a fleet returns at once it is let in at a steady rate; some wait, the others are refused at once and
 * come again by their own back-off. Time goes in, decisions come out.
 */
export class Admission<Connection> {
  readonly #limits: AdmissionLimits;
  readonly #waiting = new Map<Connection, number>();
  #tokens: number;
  #filledMs = 0;
  #handshakes = 0;
  #connections = 0;
  readonly refused = new Map<RefusalReason, number>();
  admitted = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    this.#tokens = limits.handshakesBurst;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get handshakes(): number {
    return this.#handshakes;
  }

  /** Connections that were let in and are not closed. */
  get connections(): number {
    return this.#connections;
  }

  /** A connection has come; with `wait` it is answered by a later `due`. */
  arrive(connection: Connection, nowMs: number): 'admit' | 'wait' | 'refuse' {
    const { connectionsMax, waitingMax } = this.#limits;
    if (this.#connections + this.#waiting.size >= connectionsMax) return this.#refuse('connections');
    if (this.#waiting.size === 0 && this.#take(nowMs)) return 'admit';
    if (this.#waiting.size >= waitingMax) return this.#refuse('waiting');
    this.#waiting.set(connection, nowMs + this.#limits.waitMsMax);
    return 'wait';
  }

  /** Whose turn has come, in the order in which they came, and who has waited too long. */
  due(nowMs: number): { admit: Connection[]; refuse: Connection[] } {
    const admit: Connection[] = [];
    const refuse: Connection[] = [];
    for (const [connection, untilMs] of this.#waiting) {
      if (this.#take(nowMs)) admit.push(connection);
      else if (untilMs <= nowMs) {
        this.#refuse('waited');
        refuse.push(connection);
      } else break;
      this.#waiting.delete(connection);
    }
    return { admit, refuse };
  }

  /** When `due` will have something to say, in milliseconds from now; undefined while nobody waits. */
  dueInMs(nowMs: number): number | undefined {
    const [untilMs] = this.#waiting.values();
    if (untilMs === undefined) return undefined;
    const tokenMs = ((1 - this.#tokens) / this.#limits.handshakesPerSecond) * 1000;
    // A full house of handshakes says itself when one ends.
    const turnMs = this.#handshakes < this.#limits.handshakesMax ? tokenMs : Number.POSITIVE_INFINITY;
    return Math.max(1, Math.min(untilMs - nowMs, turnMs));
  }

  /** A waiting connection was closed by its peer. */
  left(connection: Connection): void {
    this.#waiting.delete(connection);
  }

  /** A handshake has ended, well or not. */
  handshakeEnded(): void {
    this.#handshakes--;
  }

  /** A connection that was let in is closed. */
  closed(): void {
    this.#connections--;
  }

  #take(nowMs: number): boolean {
    const { handshakesPerSecond, handshakesBurst, handshakesMax } = this.#limits;
    // A monotonic clock: it never goes back.
    const earned = ((nowMs - this.#filledMs) / 1000) * handshakesPerSecond;
    this.#tokens = Math.min(handshakesBurst, this.#tokens + earned);
    this.#filledMs = nowMs;
    if (this.#tokens < 1 || this.#handshakes >= handshakesMax) return false;
    this.#tokens--;
    this.#handshakes++;
    this.#connections++;
    this.admitted++;
    return true;
  }

  #refuse(reason: RefusalReason): 'refuse' {
    this.refused.set(reason, (this.refused.get(reason) ?? 0) + 1);
    return 'refuse';
  }
}
