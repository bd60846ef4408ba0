import { createHash } from 'node:crypto';

/** A process that may be killed: what was scheduled on its behalf does not happen after its end. */
export interface Life {
  alive: boolean;
  /** It is stopped until then (SIGSTOP): what happens on its behalf happens after that, in the same order. */
  frozenUntilMs?: number;
}

interface Scheduled {
  atMs: number;
  order: number;
  fire: () => void;
  life: Life | undefined;
}

/** Enough to see what led to a violation, in a terminal. */
const HISTORY_LINES = 60;

/** Lines are hashed in pieces: a hash update costs a microsecond, whatever its length. */
const HASH_LINES = 256;

/**
 * Simulated time: things happen in order of time, and at one time in order of scheduling. Nothing waits for a real clock.
 * Every line that is traced goes into a hash, by which two runs of a seed are known to be the same.
 */
export class World {
  nowMs = 0;
  /** Events that have happened. */
  steps = 0;
  readonly #heap: Scheduled[] = [];
  readonly #hash = createHash('sha256');
  readonly #history: string[] = [];
  readonly #historyLines: number;
  #lines: string[] = [];
  #order = 0;
  #mustSettle = false;
  #failure: { error: unknown } | undefined;

  /** `historyLines`: so many of the newest lines are kept. */
  constructor(historyLines = HISTORY_LINES) {
    this.#historyLines = historyLines;
  }

  /** The returned function takes it back. */
  schedule(delayMs: number, fire: () => void, life?: Life): () => void {
    const entry: Scheduled = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, fire, life };
    this.#push(entry);
    return () => {
      entry.fire = nothing;
    };
  }

  trace(who: string, what: string): void {
    const line = `${(this.nowMs / 1000).toFixed(4)} ${who} ${what}`;
    this.#lines.push(line);
    if (this.#lines.length >= HASH_LINES) this.#flush();
  }

  /** The newest lines. */
  get history(): readonly string[] {
    this.#flush();
    return this.#history;
  }

  /** Ends the trace. */
  hash(): string {
    this.#flush();
    return this.#hash.copy().digest('hex');
  }

  /** Promises were resolved: what waits for them runs before the next event. */
  settle(): void {
    this.#mustSettle = true;
  }

  /** Fails the run from where nobody would see a throw. The first failure counts. */
  fail(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Runs events until `done` says so, or up to `untilMs`. Throws what failed. Answers whether it was done. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<boolean> {
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return done();
      }
      this.#pop();
      this.nowMs = next.atMs;
      const { life } = next;
      if (next.fire === nothing || life?.alive === false) continue;
      if (life?.frozenUntilMs !== undefined && life.frozenUntilMs > this.nowMs) {
        next.atMs = life.frozenUntilMs;
        next.order = this.#order++;
        this.#push(next);
        continue;
      }
      this.steps++;
      next.fire();
      if (this.#mustSettle) {
        this.#mustSettle = false;
        // All microtasks have run by the next turn of the event loop, however many each of them began.
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (this.#failure !== undefined) throw this.#failure.error;
    }
    return true;
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    this.#hash.update(`${this.#lines.join('\n')}\n`);
    this.#history.push(...this.#lines);
    const surplus = this.#history.length - this.#historyLines;
    if (surplus > 0) this.#history.splice(0, surplus);
    this.#lines = [];
  }

  #push(entry: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isBefore(entry, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
  }
}

function nothing(): void {}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
