import type { Clock } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Logger } from 'pino';
import type { ClockExchange } from '../uplink/uplink.js';
import type { AgentCatalogue } from './agent-catalogue.js';
import { continues, estimatedSegment, jumped, observedSegment } from './time-segment.js';

type Segment = Omit<SegmentDeclaration, 'id'>;

/**
 * Keeps the segment that monotonic times are in: the one of an earlier start in this boot where the clocks still agree, a
 * new one after a step, a sleep, or when the offset becomes better known.
 */
export class SegmentKeeper {
  readonly #catalogue: AgentCatalogue;
  readonly #clock: Clock;
  readonly #bootId: string;
  readonly #log: Logger;
  #current: SegmentDeclaration | undefined;
  #seen: Segment;
  #adding = false;

  constructor(catalogue: AgentCatalogue, clock: Clock, bootId: string, log: Logger) {
    this.#catalogue = catalogue;
    this.#clock = clock;
    this.#bootId = bootId;
    this.#log = log;
    this.#seen = observedSegment(clock, bootId);
    const last = catalogue.segments.findLast((segment) => segment.bootId === bootId);
    // An estimate of an earlier start holds: it is about the monotonic line. Where the device slept since, the next
    // comparison with the collector finds it.
    if (last !== undefined && continues(last, this.#seen)) this.#current = last;
  }

  /** The id of the segment now. Throws before `begin` has resolved. */
  get id(): number {
    if (this.#current === undefined) throw new Error('no segment was declared yet');
    return this.#current.id;
  }

  /** Whether there is a segment. */
  get isKnown(): boolean {
    return this.#current !== undefined;
  }

  /** Declares a segment if there is none to go on with. Rejects with a `TributaryError` when the buffer cannot be written. */
  async begin(): Promise<void> {
    this.#current ??= await this.#catalogue.addSegment(this.#seen);
  }

  /** Looks at the clocks again: now and then is enough. */
  look(): void {
    const seen = observedSegment(this.#clock, this.#bootId);
    const before = this.#seen;
    this.#seen = seen;
    if (this.#current === undefined) return;
    if (jumped(before, seen) || !continues(this.#current, seen))
      this.#begin(seen, 'the clock was set, or the device slept');
  }

  /** The collector's clock is a better witness than a clock that nobody vouches for. */
  compared(comparison: ClockExchange): void {
    const segment = estimatedSegment(comparison, this.#bootId);
    if (segment === undefined || this.#current === undefined || continues(this.#current, segment)) return;
    this.#begin(segment, "the collector's clock says better when it is");
  }

  /** Never rejects: the old segment holds until a new one is declared, and the next look tries again. */
  #begin(segment: Segment, why: string): void {
    if (this.#adding) return;
    this.#adding = true;
    this.#catalogue.addSegment(segment).then(
      (declared) => {
        this.#adding = false;
        this.#current = declared;
        this.#log.info({ segment: declared.id, offsetUs: declared.offsetUs }, why);
      },
      (thrown: unknown) => {
        this.#adding = false;
        this.#log.warn({ details: TributaryError.from(thrown).message }, 'a time segment cannot be declared');
      },
    );
  }
}
