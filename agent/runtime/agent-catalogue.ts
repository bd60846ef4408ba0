import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff } from '@tributary/core/retry/backoff';
import type { ColumnType } from '@tributary/proto/batch/batch';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SeriesDeclaration,
  ValueType,
} from '@tributary/proto/gen/tributary/v1/series';
import type { Logger } from 'pino';
import { seriesKey } from '../batching/series-key.js';
import type { SeriesAnswer, SeriesRegistry } from '../batching/series-registry.js';
import type { BufferIdentity, Buffer as EdgeBuffer } from '../buffer/buffer.js';
import type { SeriesSpec } from '../sensors/source.js';

/**
 * Series of one epoch. Each stays in memory and in the buffer for ever, some 300 bytes; a device that invents names (a
 * counter in a label) must not fill either.
 */
const seriesMax = 10_000;

/** The buffer's disk is the only thing that can fail here; it is tried again soon, because batches wait for it. */
const retryPolicy = { baseMs: 250, capMs: 5_000 };

/** Nothing to wait for: asked for before each append. */
const restored = Promise.resolve();

/** Written as numbers, because the generated enumeration would load gRPC. */
const valueTypes: Readonly<Record<ColumnType, ValueType>> = { double: 1, boolean: 2, string: 3 };

export interface AgentCatalogueDeps {
  buffer: EdgeBuffer;
  scheduler: Scheduler;
  random: Random;
  log: Logger;
  /** The catalogue has grown, or ids are there that batches wait for. */
  changed(): void;
}

interface KnownSeries {
  type: ColumnType;
  answer: SeriesAnswer;
}

/**
 * The catalogue of this device: which series, segments and anchors are declared. It answers from memory and declares what is new
 * behind it. Where the buffer had to begin anew, everything is declared again in the same order, so that ids stay.
 */
export class AgentCatalogue implements SeriesRegistry {
  readonly #deps: AgentCatalogueDeps;
  readonly #backoff: Backoff;
  readonly #answers = new Map<string, KnownSeries>();
  /** The same by the object that a source declares its series with: asked for each column of each batch. */
  readonly #bySpec = new WeakMap<SeriesSpec, KnownSeries>();
  #series: SeriesDeclaration[];
  #segments: SegmentDeclaration[];
  #anchors: ClockAnchor[];
  #epoch: Uint8Array;
  /** How far the epoch that is being brought up to date has come. */
  #restored: { epoch: Uint8Array; segments: number; anchors: number };
  #restoring: Promise<void> | undefined;
  #queue: SeriesSpec[] = [];
  #declaring = false;
  #isStopped = false;
  #cancelRetry: (() => void) | undefined;

  constructor(identity: BufferIdentity, deps: AgentCatalogueDeps) {
    this.#deps = deps;
    this.#backoff = new Backoff(deps.random, retryPolicy);
    this.#series = identity.series;
    this.#segments = identity.segments;
    this.#anchors = identity.anchors;
    this.#epoch = identity.epoch;
    this.#restored = progressOf(identity);
    for (const series of identity.series) this.#remember(series);
  }

  get series(): readonly SeriesDeclaration[] {
    return this.#series;
  }

  get segments(): readonly SegmentDeclaration[] {
    return this.#segments;
  }

  get anchors(): readonly ClockAnchor[] {
    return this.#anchors;
  }

  idOf(spec: SeriesSpec): SeriesAnswer {
    const known = this.#bySpec.get(spec) ?? this.#find(spec);
    if (known !== undefined) return known.type === spec.type ? known.answer : this.#refuse(spec, known.type);
    if (this.#answers.size >= seriesMax) return 'refused';
    const fresh: KnownSeries = { type: spec.type, answer: 'pending' };
    this.#answers.set(seriesKey(spec), fresh);
    this.#bySpec.set(spec, fresh);
    this.#queue.push(spec);
    if (this.#queue.length === 1) queueMicrotask(() => void this.#declare());
    return 'pending';
  }

  #find(spec: SeriesSpec): KnownSeries | undefined {
    const known = this.#answers.get(seriesKey(spec));
    if (known !== undefined) this.#bySpec.set(spec, known);
    return known;
  }

  #refuse(spec: SeriesSpec, type: ColumnType): SeriesAnswer {
    this.#deps.log.debug({ series: spec.name }, `a series has one type for its whole life; this one is ${type}`);
    return 'refused';
  }

  /** The buffer is there at last: what it has is declared, and what was asked for meanwhile is declared behind it. */
  adopt(identity: BufferIdentity): void {
    const { epoch, series, segments, anchors } = identity;
    this.#epoch = epoch;
    this.#restored = progressOf(identity);
    this.#series = series;
    this.#segments = segments;
    this.#anchors = anchors;
    for (const each of series) this.#remember(each);
    this.#deps.changed();
    this.#cancelRetry?.();
    void this.#declare();
  }

  /** Declares a segment; rejects with a `TributaryError` when the buffer cannot be written. */
  async addSegment(segment: Omit<SegmentDeclaration, 'id'>): Promise<SegmentDeclaration> {
    await this.restore();
    const declared = await this.#deps.buffer.addSegment(segment);
    this.#segments = [...this.#segments, declared];
    this.#deps.changed();
    return declared;
  }

  /** Declares anchors; rejects with a `TributaryError` when the buffer cannot be written. Those before the failure stand. */
  async addAnchors(anchors: readonly Omit<ClockAnchor, 'id'>[]): Promise<void> {
    await this.restore();
    try {
      for (const anchor of anchors) this.#anchors = [...this.#anchors, await this.#deps.buffer.addAnchor(anchor)];
    } finally {
      this.#deps.changed();
    }
  }

  /**
   * Brings a buffer that has begun anew up to date. Does nothing while its epoch is the one that is known. Who asks while
   * that is under way waits for it: a segment that is declared twice would shift the ids of those behind it.
   */
  restore(): Promise<void> {
    if (this.#isKnown(this.#deps.buffer.identity)) return restored;
    this.#restoring ??= this.#restore().finally(() => {
      this.#restoring = undefined;
    });
    return this.#restoring;
  }

  async #restore(): Promise<void> {
    const { buffer } = this.#deps;
    for (let { identity } = buffer; !this.#isKnown(identity); identity = buffer.identity) {
      // What an earlier attempt has declared before it failed is there; the identity tells only what was there before it.
      if (Buffer.compare(this.#restored.epoch, identity.epoch) !== 0) {
        this.#restored = progressOf(identity);
      }
      const progress = this.#restored;
      const [first] = identity.segments;
      if (first !== undefined && first.id > this.#segments[0]?.id) {
        // Of a crowded epoch the new one has only what is still needed.
        this.#segments = this.#segments.filter(({ id }) => id >= first.id);
        this.#anchors = this.#anchors.filter(({ id }) => id >= (identity.anchors[0]?.id ?? 1));
      }
      if (identity.series.length < this.#series.length) await buffer.addSeries(this.#series);
      while (progress.segments < this.#segments.length) {
        await buffer.addSegment(this.#segments[progress.segments]);
        progress.segments++;
      }
      while (progress.anchors < this.#anchors.length) {
        await buffer.addAnchor(this.#anchors[progress.anchors]);
        progress.anchors++;
      }
      this.#epoch = identity.epoch;
    }
    this.#deps.changed();
  }

  #isKnown({ epoch }: BufferIdentity): boolean {
    return epoch === this.#epoch || Buffer.compare(epoch, this.#epoch) === 0;
  }

  /** Never rejects: what cannot be declared now is tried again. */
  async #declare(): Promise<void> {
    if (this.#declaring || this.#queue.length === 0) return;
    this.#declaring = true;
    const specs = this.#queue.splice(0);
    try {
      await this.restore();
      const declared = await this.#deps.buffer.addSeries(specs.map(declarationOf));
      const fresh = declared.filter(({ id }) => id > this.#series.length);
      this.#series = [...this.#series, ...fresh];
      for (const series of declared) this.#remember(series);
      this.#backoff.succeeded();
      this.#deps.changed();
    } catch (thrown) {
      this.#queue.unshift(...specs);
      if (this.#isStopped) return;
      const retryInMs = Math.round(this.#backoff.failed());
      this.#deps.log.warn({ retryInMs, details: TributaryError.from(thrown).message }, 'series cannot be declared');
      this.#cancelRetry = this.#deps.scheduler.setTimer(retryInMs, () => void this.#declare());
    } finally {
      this.#declaring = false;
    }
    if (this.#queue.length > 0 && this.#backoff.attempt === 0) await this.#declare();
  }

  /** Nothing is tried again afterwards. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry?.();
  }

  #remember(series: SeriesDeclaration): void {
    const type = typeOf(series.type);
    if (type === undefined) return;
    const key = seriesKey(series);
    const known = this.#answers.get(key);
    if (known === undefined) this.#answers.set(key, { type, answer: series.id });
    else if (known.type === type) known.answer = series.id;
  }
}

function progressOf({ epoch, segments, anchors }: BufferIdentity) {
  return { epoch, segments: segments.length, anchors: anchors.length };
}

function declarationOf({ name, unit, labels, type }: SeriesSpec): Omit<SeriesDeclaration, 'id'> {
  return { name, unit, labels: { ...labels }, type: valueTypes[type] };
}

function typeOf(value: ValueType): ColumnType | undefined {
  for (const type of ['double', 'boolean', 'string'] as const) if (valueTypes[type] === value) return type;
  return undefined;
}
