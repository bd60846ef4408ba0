import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type {
  Deferral,
  DeferralReason,
  Rejection,
  RejectionReason,
  UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import { SEQUENCE_MAX } from '@tributary/proto/items/item';

/** Verdicts of one stream as they come; neighbours become ranges. */
export class UploadVerdicts {
  readonly #durable: SequenceRange[] = [];
  readonly #forked: SequenceRange[] = [];
  readonly #rejected: Rejection[] = [];
  readonly #later: Deferral[] = [];

  durable(sequence: number): void {
    append(this.#durable, sequence);
  }

  forked(sequence: number): void {
    append(this.#forked, sequence);
  }

  rejected(sequence: number, reason: RejectionReason, detail: string): void {
    this.#rejected.push({ sequence, reason, detail });
  }

  later(sequence: number, reason: DeferralReason, delayMs: number): void {
    const newest = this.#later.at(-1);
    if (newest?.range !== undefined && newest.reason === reason && newest.range.last === sequence - 1) {
      newest.range.last = sequence;
      newest.delayMs = Math.max(newest.delayMs, delayMs);
    } else this.#later.push({ range: { first: sequence, last: sequence }, reason, delayMs });
  }

  /** Everything from `first` on that was not named: the stream ends before the device thought. */
  laterFrom(first: number, reason: DeferralReason, delayMs: number): void {
    this.#later.push({ range: { first, last: SEQUENCE_MAX }, reason, delayMs });
  }

  /** Nothing was deferred, rejected or forked. */
  get clean(): boolean {
    return this.#later.length === 0 && this.#rejected.length === 0 && this.#forked.length === 0;
  }

  response(backfillBytesPerSecond: number): UploadResponse {
    return {
      durable: this.#durable,
      rejected: this.#rejected,
      later: this.#later,
      forked: this.#forked,
      backfillBytesPerSecond,
    };
  }
}

function append(ranges: SequenceRange[], sequence: number): void {
  const newest = ranges.at(-1);
  if (newest !== undefined && newest.last === sequence - 1) newest.last = sequence;
  else ranges.push({ first: sequence, last: sequence });
}
