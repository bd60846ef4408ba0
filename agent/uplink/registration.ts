import { commonRanges, normalRanges, rangesWithout } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { DurableState, RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';
import type { BufferCounts, BufferIdentity } from '../buffer/buffer.js';
import { type CatalogueKnown, cataloguePage, type DeviceCatalogue } from './catalogue-page.js';

/** What the device says of itself at each start. */
export interface RegistrationOptions {
  /** 16 random bytes, new at each start of the agent. */
  startId: Uint8Array;
  agentVersion: string;
  attributes: Readonly<Record<string, string>>;
}

/** What to do about what the collector has of this epoch. */
export type Comparison =
  | { kind: 'nothing' }
  /** Look at the buffer's own row of this sequence. */
  | { kind: 'look'; sequence: number }
  /** The same bytes: these are durable. */
  | { kind: 'durable'; ranges: SequenceRange[] }
  /** Another copy of this buffer has used sequences up to this one. */
  | { kind: 'fork'; upTo: number };

/** Each is 16 bytes; a device sends in order, so there are few. */
const acknowledgedRangesMax = 1024;

const NOTHING: DeviceCatalogue = { series: [], segments: [], anchors: [] };

/** An answer with as many ranges may have left out older ones. */
const namedRangesMin = 256;

/** What the collector knows of this device, and what it must still be told. */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #pageBytes: number;
  epoch: Uint8Array;
  /** The highest sequence in the buffer. */
  highest: number;
  fencingToken = 0;
  #catalogue: DeviceCatalogue;
  /** The first ids of this epoch. */
  #begins = { segment: 1, anchor: 1 };
  /** There are more segments than the collector takes of an epoch. */
  #isCut = false;
  #known: CatalogueKnown = { series: 0, segments: 0, anchors: 0 };
  /** The highest sequence that was there at the opening, of an epoch that others may have written to as well. */
  suspectUpTo: number | undefined;
  /** What the collector has called durable in this run, of this epoch. */
  #acknowledged: SequenceRange[] = [];
  /** The highest sequence when the epoch was opened or found: what is above it is of this start. */
  #highestFound: number;
  /** Boots whose segments the collector does not take, because it knows others under their ids. */
  readonly #ownBoots = new Set<string>();
  #sharesNothing = false;

  constructor(options: RegistrationOptions, identity: BufferIdentity, pageBytes: number) {
    this.#options = options;
    this.#pageBytes = pageBytes;
    this.epoch = identity.epoch;
    this.highest = identity.highestSequence;
    this.#catalogue = this.#taken(identity);
    this.#highestFound = identity.highestSequence;
    if (identity.isSuspect) this.suspectUpTo = identity.highestSequence;
  }

  /** A new epoch: nothing of it is known. */
  newEpoch(identity: BufferIdentity): void {
    this.epoch = identity.epoch;
    this.highest = identity.highestSequence;
    this.suspectUpTo = identity.isSuspect ? identity.highestSequence : undefined;
    this.#acknowledged = [];
    this.#known = { series: 0, segments: 0, anchors: 0 };
    this.#begins = { segment: identity.segments[0]?.id ?? 1, anchor: identity.anchors[0]?.id ?? 1 };
    this.#catalogue = this.#taken(identity);
    this.#highestFound = identity.highestSequence;
    this.#ownBoots.clear();
    this.#sharesNothing = false;
  }

  catalogue(catalogue: DeviceCatalogue): void {
    this.#catalogue = this.#sharesNothing ? NOTHING : withoutBoots(this.#taken(catalogue), this.#ownBoots);
  }

  #taken(catalogue: DeviceCatalogue): DeviceCatalogue {
    // Somebody may still have that of the epoch before, with what was left behind there.
    const { series } = catalogue;
    const segments = catalogue.segments.filter(({ id }) => id >= this.#begins.segment);
    const anchors = catalogue.anchors.filter(({ id }) => id >= this.#begins.anchor);
    this.#isCut = segments.length > segmentsMax;
    return this.#isCut ? asMuchAsIsTaken({ series, segments, anchors }) : { series, segments, anchors };
  }

  /** Items of later segments than this one cannot be settled in this epoch. */
  get segmentMax(): number {
    const takesAll = this.#ownBoots.size === 0 && !this.#isCut;
    if (takesAll || this.#sharesNothing) return Number.POSITIVE_INFINITY;
    return this.#catalogue.segments.at(-1)?.id ?? 0;
  }

  /**
   * The collector knows another boot under an id of this one: the buffer is a copy, and so is the epoch. From now on only
   * what both copies declared is registered, so that what both copies hold can still be settled before the epoch is left.
   * One boot less with each call. Where it is not the boots, as with a series that each copy has declared anew or that a
   * recovery could not read, nothing is declared in the end; false when that was refused, too.
   */
  share(): boolean {
    if (this.#sharesNothing) return false;
    const newest = this.#catalogue.segments.at(-1);
    if (newest === undefined) this.#sharesNothing = true;
    else this.#ownBoots.add(newest.bootId);
    this.catalogue(this.#catalogue);
    this.suspectUpTo = this.#highestFound;
    return true;
  }

  /**
   * What must not be sent in this epoch: of a catalogue that the collector does not take, only what it has already can be
   * settled, by its checksum. The rest might be stored under another's names.
   */
  unshared(response: RegisterResponse): SequenceRange[] {
    if (!this.#sharesNothing) return [];
    return rangesWithout([{ first: 1, last: this.highest }], this.claimed(response));
  }

  /** Whether the catalogue has entries that the collector does not know. */
  get isIncomplete(): boolean {
    const { series, segments, anchors } = this.#catalogue;
    const known = this.#known;
    return series.length > known.series || segments.length > known.segments || anchors.length > known.anchors;
  }

  /** The next request. Its monotonic time is set by whoever sends it. */
  request(status: BufferCounts | undefined): RegisterRequest {
    const page = cataloguePage(this.#catalogue, this.#known, this.#pageBytes);
    return {
      startId: this.#options.startId,
      agentVersion: this.#options.agentVersion,
      rulesVersion: '',
      epochs: [
        {
          epoch: this.epoch,
          highestSequence: this.highest,
          readingsProduced: status?.readingsProduced ?? 0,
          itemsWaiting: status?.itemsWaiting ?? 0,
          readingsWaiting: status?.readingsWaiting ?? 0,
        },
      ],
      series: page.series,
      segments: page.segments,
      monotonicUs: 0,
      segment: 0,
      attributes: { ...this.#options.attributes },
      anchors: page.anchors,
    };
  }

  /**
   * Takes the answer to the `page`-th request. `stuck` when the two sides do not come nearer: the first page begins where
   * an earlier registration left off, and a collector that has forgotten answers less; each later one must bring progress.
   */
  answered(response: RegisterResponse, page: number): 'complete' | 'more' | 'stuck' {
    const knownBefore = sumOf(this.#known);
    this.fencingToken = response.fencingToken;
    const { series, segments, anchors } = this.#catalogue;
    this.#known = {
      series: Math.min(response.seriesKnown, series.length),
      segments: Math.min(response.segmentsKnown, segments.length),
      anchors: Math.min(response.anchorsKnown, anchors.length),
    };
    if (!this.isIncomplete) return 'complete';
    return page === 0 || sumOf(this.#known) > knownBefore ? 'more' : 'stuck';
  }

  /** What the collector has of this epoch, against the highest sequence of the buffer. */
  compare(response: RegisterResponse): Comparison {
    const durable = this.#durable(response);
    if (durable === undefined || durable.highestSequence === 0) return { kind: 'nothing' };
    if (durable.highestSequence > this.highest) return { kind: 'fork', upTo: this.highest };
    return { kind: 'look', sequence: durable.highestSequence };
  }

  /**
   * The same with the buffer's own row at hand, if it is still there. Without it nothing is taken on trust: what waits is
   * sent, and the collector drops duplicates.
   */
  compareRow(response: RegisterResponse, own: Item | undefined): Comparison {
    const durable = this.#durable(response);
    if (durable === undefined || durable.highestChecksum === undefined) return { kind: 'nothing' };
    const { highestSequence, highestChecksum, ranges } = durable;
    if (own?.sequence !== highestSequence) return { kind: 'nothing' };
    if (own.checksum !== highestChecksum) return { kind: 'fork', upTo: highestSequence };
    return { kind: 'durable', ranges: commonRanges(normalRanges(ranges), [{ first: 1, last: highestSequence }]) };
  }

  /** What the collector says that it has, of what this buffer may hold. */
  claimed(response: RegisterResponse): SequenceRange[] {
    const ranges = normalRanges(this.#durable(response)?.ranges ?? []);
    return commonRanges(ranges, [{ first: 1, last: this.highest }]);
  }

  /** The collector has called these durable. */
  acknowledged(ranges: readonly SequenceRange[]): void {
    this.#acknowledged = normalRanges([...this.#acknowledged, ...ranges]).slice(-acknowledgedRangesMax);
  }

  /**
   * What the collector has called durable in this run and does not have any more. Each item is named once. An answer names
   * only the newest of its ranges, so nothing is concluded about what is older than those.
   */
  forgotten(response: RegisterResponse): SequenceRange[] {
    const durable = this.#durable(response);
    const has = normalRanges(durable?.ranges ?? []);
    const namedFrom = has.length < namedRangesMin ? 1 : has[0].first;
    const known = commonRanges(this.#acknowledged, [{ first: namedFrom, last: Number.MAX_SAFE_INTEGER }]);
    const forgotten = rangesWithout(known, has);
    if (forgotten.length > 0) this.#acknowledged = rangesWithout(this.#acknowledged, forgotten);
    return forgotten;
  }

  #durable(response: RegisterResponse): DurableState | undefined {
    return response.durable.find((state) => Buffer.compare(state.epoch, this.epoch) === 0);
  }
}

function sumOf({ series, segments, anchors }: CatalogueKnown): number {
  return series + segments + anchors;
}

/**
 * As many segments of an epoch as collectors take, with their anchors. Of a device that was started more often than that since
 * it last reached a collector, what is of the others moves to the next epoch.
 */
const segmentsMax = 16_384;

function asMuchAsIsTaken({ series, segments, anchors }: DeviceCatalogue): DeviceCatalogue {
  const taken = segments.slice(0, segmentsMax);
  const last = taken.at(-1)!.id;
  return { series, segments: taken, anchors: anchors.filter(({ segment }) => segment <= last) };
}

/** The segments of other boots. No anchors with them: those of two copies may have the same ids. */
function withoutBoots(catalogue: DeviceCatalogue, boots: ReadonlySet<string>): DeviceCatalogue {
  if (boots.size === 0) return catalogue;
  const { series, segments } = catalogue;
  return { series, segments: segments.filter(({ bootId }) => !boots.has(bootId)), anchors: [] };
}
