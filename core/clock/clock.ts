/** Where time comes from. A parameter everywhere, so that a simulation can bend it. */
export interface Clock {
  /** Unix time in whole microseconds. It may step in either direction. */
  wallUs(): number;
  /** Whole microseconds since some moment of this boot. It never goes back; it stands still while suspended. */
  monotonicUs(): number;
}

/** Where timers come from. `nowMs` is monotonic and is what deadlines are compared with. */
export interface Scheduler {
  nowMs(): number;
  /** Calls `fire` once, not before `delayMs` from now. The returned function cancels it and may be called any time. */
  setTimer(delayMs: number, fire: () => void): () => void;
}

/** setTimeout takes a signed 32-bit number of milliseconds and fires at once when given more. */
const timeoutMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallUs: () => Date.now() * 1000,
  monotonicUs: () => {
    // CLOCK_MONOTONIC, the same line for every process of a boot; performance.now() begins anew with each process.
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1_000_000 + Math.floor(nanoseconds / 1000);
  },
};

export const systemScheduler: Scheduler = {
  nowMs: () => performance.now(),
  setTimer(delayMs, fire) {
    let remainingMs = Math.max(0, delayMs);
    let timer: NodeJS.Timeout;
    const arm = () => {
      const partMs = Math.min(remainingMs, timeoutMsMax);
      remainingMs -= partMs;
      timer = setTimeout(remainingMs > 0 ? arm : fire, partMs);
    };
    arm();
    return () => clearTimeout(timer);
  },
};
