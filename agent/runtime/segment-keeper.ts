import type { Clock } from '@tributary/core/clock/clock';
import {
  anchorsBySegment,
  type ClockObservation,
  clockRank,
  isVouched,
  SegmentLine,
} from '@tributary/core/clock/clock-observation';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { ClockState, SegmentDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Logger } from 'pino';
import type { LineMoment } from '../buffer/buffer.js';
import type { ClockExchange } from '../uplink/uplink.js';
import type { AgentCatalogue } from './agent-catalogue.js';
import { estimate } from './clock-exchange.js';
import { ClockWatch, lookAtClocks, unknownUncertaintyUs } from './clock-watch.js';
import type { HostTime } from './host-time.js';
import { hasUnplaced, placeSegments } from './place-segments.js';

/** Written as numbers, because the generated enumeration would load gRPC. */
const estimated: ClockState.ESTIMATED = 2;
const unsynchronized: ClockState.UNSYNCHRONIZED = 3;

/** An offset that moved by more than this is written down anew: a tenth of what is promised. */
const movedUs = 100_000;

/** Two looks of one boot without word of its sleep are on one line when their offsets are this near. */
const sameOffsetUs = 1_000_000;

/** A claim that the collector's clock contradicts by more than this is not made again, as at the collector. */
const contradictionUs = 5_000_000;

/** What the length of a sleep may be off: two readings of a clock that counts hundredths of a second. */
const sleepUncertaintyUs = 20_000;

/** A crystal that is off by 100 millionths drifts a third of a second in an hour: a third of what is promised. */
const exchangeEveryUs = 3_600_000_000;

/** Below what collectors take (65,536), so that no registration is ever refused for it: decades of an ordinary device. */
const anchorsMax = 60_000;

export interface SegmentKeeperDeps {
  catalogue: AgentCatalogue;
  clock: Clock;
  host: HostTime;
  log: Logger;
  /** How far the line of an earlier start had come. */
  line(): LineMoment | undefined;
}

/**
 * Keeps the segment that monotonic times are in, and what is known of its offset: a boot is one segment, each sleep begins
 * another, and whatever else becomes known of the time is an anchor. As soon as the time is known, segments of boots that
 * never knew it are placed. What the words mean exactly is in docs/TIME.md.
 */
export class SegmentKeeper {
  readonly #deps: SegmentKeeperDeps;
  #watch: ClockWatch;
  #current: SegmentDeclaration | undefined;
  /** One thing is written after the other. */
  #writing: Promise<void> | undefined;
  #exchangedAtUs = Number.NEGATIVE_INFINITY;
  #toldFull = false;

  constructor(deps: SegmentKeeperDeps) {
    this.#deps = deps;
    this.#watch = this.#takeUp();
  }

  /** Goes on with the segment of an earlier start in this boot, if the catalogue has one that is still the one of now. */
  #takeUp(): ClockWatch {
    const { catalogue, clock, host } = this.#deps;
    const last = catalogue.segments.findLast(({ bootId }) => bootId === host.bootId);
    const first = lookAtClocks(clock, host);
    const known = last && this.#lineOf(last).at(first.monotonicUs);
    const watch = new ClockWatch(first, known && isVouched(known) ? known.offsetUs : undefined);
    if (last !== undefined && this.#goesOn(last, watch)) this.#current = last;
    return watch;
  }

  /** The id of the segment now. Throws before `begin` has resolved. */
  get id(): number {
    if (this.#current === undefined) throw new Error('no segment was declared yet');
    return this.#current.id;
  }

  /** The time of now, microseconds since the Unix epoch: by what is known of the segment where somebody vouches for it. */
  wallUs(): number {
    const { clock } = this.#deps;
    const us = clock.monotonicUs();
    const known = this.#current && this.#lineOf(this.#current).at(us);
    return known !== undefined && isVouched(known) ? us + known.offsetUs : clock.wallUs();
  }

  /** Whether there is a segment. */
  get isKnown(): boolean {
    return this.#current !== undefined;
  }

  /**
   * Whether the collector is to be asked for the time again: no time service keeps this clock, and it drifts. Answers true
   * once for each time that it is.
   */
  takeExchangeDue(): boolean {
    const nowUs = this.#deps.clock.monotonicUs();
    if (this.#watch.observation.state !== unsynchronized || nowUs - this.#exchangedAtUs < exchangeEveryUs) return false;
    this.#exchangedAtUs = nowUs;
    return true;
  }

  /** Declares what there is to declare at a start. Rejects with a `TributaryError` when the buffer cannot be written. */
  async begin(): Promise<void> {
    const { catalogue } = this.#deps;
    // The buffer may have been opened since.
    if (this.#current === undefined) this.#watch = this.#takeUp();
    const seen = this.#watch.observation;
    if (this.#current === undefined) {
      const line = this.#deps.line();
      // Where the line before ended is known now or never.
      if (line !== undefined) await this.#end(line.segment, line.us);
      this.#current = await catalogue.addSegment(this.#segmentOf(seen));
    } else await this.#learn(seen);
    await this.#place();
  }

  /** Looks at the clocks again. What cannot be written now is found anew by a later look. */
  look(): void {
    const { clock, host } = this.#deps;
    const { sleptUs, observation } = this.#watch.look(lookAtClocks(clock, host));
    if (this.#current === undefined || this.#writing !== undefined) return;
    if (sleptUs > 0) this.#write(this.#beginAfterSleep(this.#current, observation, sleptUs)).catch(() => {});
    else if (this.#isNews(observation) || this.#hasToPlace())
      this.#write(this.#learnAndPlace(observation)).catch(() => {});
  }

  /**
   * What an exchange with the collector says. Resolves when what follows from it is in the catalogue, and rejects when boots
   * that never knew the time could not be placed: nothing of them may go up then. Undefined when nothing follows.
   */
  compared(exchange: ClockExchange): Promise<void> | undefined {
    const observation = estimate(exchange);
    if (this.#current === undefined || observation === undefined) return undefined;
    this.#exchangedAtUs = observation.atUs;
    const own = this.#watch.observation;
    const offUs = Math.abs(own.offsetUs - observation.offsetUs);
    if (isVouched(own) && offUs > contradictionUs + observation.uncertaintyUs) {
      this.#watch.contradicted();
      this.#deps.log.warn({ offUs }, "the collector's clock contradicts this one, which a time service vouches for");
    }
    if (this.#writing === undefined && !this.#isNews(observation) && !this.#hasToPlace()) return undefined;
    const before = this.#writing ?? Promise.resolve();
    const work = this.#write(before.catch(() => {}).then(() => this.#learnAndPlace(observation)));
    return work.catch((thrown: unknown) => {
      // Of this segment the collector makes an estimate of its own. Of those before it nobody knows anything.
      const { segments, anchors } = this.#deps.catalogue;
      if (hasUnplaced(segments, anchors, this.id)) throw thrown;
    });
  }

  /** Whether segments could have a place and have none: writing it failed before. */
  #hasToPlace(): boolean {
    const { segments, anchors } = this.#deps.catalogue;
    return !this.#isFull() && placeSegments(segments, anchors, this.id).length > 0;
  }

  async #learnAndPlace(observation: ClockObservation): Promise<void> {
    await this.#learn(observation);
    await this.#place();
  }

  /** Remembers what is under way, and tells in the log why it failed. */
  #write(work: Promise<void>): Promise<void> {
    const writing = work
      .catch((thrown: unknown) => {
        this.#deps.log.warn({ details: TributaryError.from(thrown).message }, 'what the clocks say cannot be written');
        throw thrown;
      })
      .finally(() => {
        if (this.#writing === writing) this.#writing = undefined;
      });
    this.#writing = writing;
    return writing;
  }

  /** Whether a segment of an earlier start in this boot is the one of now. */
  #goesOn(segment: SegmentDeclaration, { hasSlept, observation }: ClockWatch): boolean {
    if (hasSlept !== undefined) return !hasSlept;
    const line = this.#lineOf(segment);
    const latest = line.at(line.lastUs);
    return Math.abs(latest.offsetUs - observation.offsetUs) < sameOffsetUs;
  }

  /** Better than what is known, or as good and moved by more than both can be wrong. */
  #isNews(observation: ClockObservation): boolean {
    const known = this.#lineOf(this.#current!).at(observation.atUs);
    const [rank, knownRank] = [clockRank(observation), clockRank(known)];
    if (rank !== knownRank) return rank < knownRank;
    // What nobody vouches for is not written down again: nothing is ever dated by it.
    if (!isVouched(observation)) return false;
    const isEstimate = observation.state === estimated;
    const explainedUs = isEstimate ? observation.uncertaintyUs + known.uncertaintyUs : 0;
    return Math.abs(observation.offsetUs - known.offsetUs) > Math.max(movedUs, explainedUs);
  }

  async #learn(observation: ClockObservation): Promise<void> {
    if (!this.#isNews(observation) || this.#isFull()) return;
    const { offsetUs, state } = observation;
    await this.#deps.catalogue.addAnchors([{ segment: this.id, ...observation }]);
    this.#deps.log.info({ segment: this.id, offsetUs, state }, 'the time is known better');
  }

  async #place(): Promise<void> {
    const { catalogue, log } = this.#deps;
    if (this.#isFull()) return;
    const anchors = placeSegments(catalogue.segments, catalogue.anchors, this.id);
    if (anchors.length === 0) return;
    await catalogue.addAnchors(anchors);
    log.info({ segments: anchors.length }, 'segments that never knew the time were placed between their neighbours');
  }

  async #beginAfterSleep(old: SegmentDeclaration, seen: ClockObservation, sleptUs: number): Promise<void> {
    const known = this.#lineOf(old).at(seen.atUs);
    await this.#end(old.id, seen.atUs);
    const carried: ClockObservation = {
      ...seen,
      offsetUs: known.offsetUs + sleptUs,
      uncertaintyUs: known.uncertaintyUs + sleepUncertaintyUs,
      state: estimated,
    };
    const begins = !isVouched(seen) && isVouched(known) ? carried : seen;
    this.#current = await this.#deps.catalogue.addSegment(this.#segmentOf(begins));
    this.#deps.log.info({ segment: this.id, sleptUs }, 'the device slept: times go on in a new segment');
    await this.#place();
  }

  /** Notes how far a segment's line has come, by which it is placed if it must be. */
  async #end(segment: number, us: number): Promise<void> {
    const declared = this.#deps.catalogue.segments.find(({ id }) => id === segment);
    if (declared === undefined || this.#isFull() || this.#lineOf(declared).lastUs >= us) return;
    const { offsetUs } = declared;
    const end = { segment, atUs: us, offsetUs, uncertaintyUs: unknownUncertaintyUs, state: unsynchronized };
    await this.#deps.catalogue.addAnchors([end]);
  }

  #lineOf(segment: SegmentDeclaration): SegmentLine {
    return new SegmentLine(segment, anchorsBySegment(this.#deps.catalogue.anchors).get(segment.id) ?? []);
  }

  #segmentOf({ atUs: observedAtUs, offsetUs, uncertaintyUs, state }: ClockObservation): Omit<SegmentDeclaration, 'id'> {
    return { bootId: this.#deps.host.bootId, offsetUs, observedAtUs, uncertaintyUs, state };
  }

  #isFull(): boolean {
    const isFull = this.#deps.catalogue.anchors.length >= anchorsMax;
    if (isFull && !this.#toldFull) this.#deps.log.error('the buffer has all the clock anchors that an epoch may have');
    this.#toldFull = isFull;
    return isFull;
  }
}
