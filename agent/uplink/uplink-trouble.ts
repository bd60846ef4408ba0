import type { Random } from '@tributary/core/clock/random';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import { type FailureDecision, failureDecision } from './failure-policy.js';
import type { UplinkLimits } from './uplink-limits.js';
import type { UplinkOutbox } from './uplink-outbox.js';

/** Failures in a row: says how long to wait after each, and logs it. Forgotten when an upload is answered. */
export class UplinkTrouble {
  readonly #outbox: UplinkOutbox;
  readonly #random: Random;
  readonly #limits: UplinkLimits;
  #failures = 0;

  constructor(outbox: UplinkOutbox, random: Random, limits: UplinkLimits) {
    this.#outbox = outbox;
    this.#random = random;
    this.#limits = limits;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** A call or a connection failed. */
  failed(failure: GrpcOutcome, what: string): FailureDecision & { why: string } {
    const decision = failureDecision(failure, this.#failures++, this.#random, this.#limits);
    const why = `${what}: ${failure.message}`;
    this.#outbox.log(decision.level, why, { remedy: decision.remedy, retryInMs: Math.round(decision.delayMs) });
    return { ...decision, why };
  }

  /** Something that is not an answer of the collector: a watchdog, the buffer. Answers how long to wait. */
  happened(level: 'warn' | 'error', why: string, fields: Record<string, string | number> = {}): number {
    const delayMs = nextDelayMs(this.#failures++, this.#random, this.#limits.retry);
    this.#outbox.log(level, why, { ...fields, retryInMs: Math.round(delayMs) });
    return delayMs;
  }
}
