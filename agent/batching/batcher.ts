import type { Batch } from '@tributary/proto/batch/batch';
import type { RowSink, SeriesSpec, TimeLine } from '../sensors/source.js';
import { BATCH_STRING_BYTES_MAX, BATCH_STRINGS_MAX, type BatchBounds, DEFAULT_BATCH_BOUNDS } from './batch-bounds.js';
import { BatchGroup, type RowCost } from './batch-group.js';
import { type Assembled, assemble, type ClosedBatch } from './closed-batch.js';
import type { BatchDropReason } from './drop-reason.js';
import { RowStage } from './row-stage.js';
import type { SeriesRegistry } from './series-registry.js';

/** What surrounds the batcher. All calls are synchronous and must not call back into it, `wake` least of all. */
export interface BatcherHost {
  registry: SeriesRegistry;
  /** Microseconds on the device's monotonic line. */
  nowUs(): number;
  /**
   * The segment of the monotonic line that times are on now, or `PENDING_SEGMENT`. A change closes the open batch; batches
   * from before the first was known are of that one, and wait for it.
   */
  segmentId(): number;
  /** Whether a series' readings are to be kept longest; asked once for each series of a group. */
  isProtected?(spec: SeriesSpec): boolean;
  drop(reason: BatchDropReason, readings: number): void;
  /** A batch was closed, or there is a new deadline: look at `take` and `nextDeadlineUs` soon. */
  wake(): void;
}

/** Looks at rows as they are taken, long before their batch is closed. Synchronous; it must not call the batcher. */
export interface RowWatch {
  /**
   * A row of the open batch: `stage.count` readings of the group's series `stage.indexes`, at `timeUs` on the line of
   * `segment`. Answers true to have the batch closed at once.
   */
  row(group: BatchGroup, segment: number, timeUs: number, stage: RowStage): boolean;
}

/** No segment is declared yet, since the buffer cannot be opened. */
export const PENDING_SEGMENT = -1;

/** A batch on loan. */
export interface TakenBatch {
  batch: Batch;
  /** All of its series are protected; otherwise none is. */
  isProtected: boolean;
  /** Gives the memory back. Encode first; afterwards the batch must not be read. */
  release(): void;
}

interface OpenBatch {
  segment: number;
  baseUs: number;
  openedAtUs: number;
  readings: number;
  bytes: number;
  strings: number;
  stringBytes: number;
}

/** Closed batches that may wait, in batches of full size, before sources that can wait are asked to. */
const READY_BATCHES = 4;

/**
 * While this many closed batches wait, age closes no more of them: each takes some kilobytes however few its readings
 * are, and nobody is there to take them sooner.
 */
const WAITING_BATCHES_MAX = 8;

/** `ready` must hold sources back long before readings are dropped: closed batches, two open ones, and rows on their way. */
const PENDING_BATCHES_MIN = 2 * READY_BATCHES;

/**
 * Collects the rows of all sources into batches, one open batch a time line, and closes it by readings, bytes and age.
 *
 * It has no timers: its host calls `tick` at `nextDeadlineUs`, and `take` until there is nothing. Batches come out in the
 * order in which they were closed; one whose series have no id yet holds up those behind it. Every row that went in
 * comes out once, or is counted by `drop`.
 */
export class Batcher {
  readonly #host: BatcherHost;
  readonly #bounds: BatchBounds;
  readonly #open: Record<TimeLine, OpenBatch | undefined> = { monotonic: undefined, absolute: undefined };
  readonly #groups: Record<TimeLine, BatchGroup[]> = { monotonic: [], absolute: [] };
  readonly #closed: ClosedBatch[] = [];
  /** What is left of a closed batch that became several. */
  #assembled: TakenBatch[] = [];
  readonly #cost: RowCost = { bytes: 0, strings: 0, stringBytes: 0 };
  #openReadings = 0;
  #closedReadings = 0;
  #readingsMax = Number.POSITIVE_INFINITY;
  #watch: RowWatch | undefined;
  #waiting: { promise: Promise<void>; resolve: () => void } | undefined;

  /** Throws RangeError where fewer than eight batches may wait in memory. */
  constructor(host: BatcherHost, bounds: Readonly<BatchBounds> = DEFAULT_BATCH_BOUNDS) {
    if (bounds.pendingReadings < PENDING_BATCHES_MIN * bounds.readings) {
      throw new RangeError(`pendingReadings must be at least ${PENDING_BATCHES_MIN} times the readings of a batch`);
    }
    this.#host = host;
    this.#bounds = { ...bounds };
  }

  /** Readings in memory: in open batches, closed ones, and those taken and not released. */
  get pendingReadings(): number {
    return this.#openReadings + this.#closedReadings;
  }

  /** Some source has times of its own, which no clock of this device bounds. */
  get hasAbsolute(): boolean {
    return this.#groups.absolute.length > 0;
  }

  /** The age at which a batch closes, in microseconds: short while somebody waits for it, longer while nobody does. */
  setAgeUs(ageUs: number): void {
    this.#bounds.ageUs = ageUs;
    this.#host.wake();
  }

  /** Shows every row from now on to a watch; undefined for none, which costs nothing. */
  watchRows(watch: RowWatch | undefined): void {
    this.#watch = watch;
  }

  /**
   * From now on a batch closes before it would hold more than this, but for one row that is larger by itself: what is in
   * memory at once has a bound then, which can be written down beforehand.
   */
  limitReadings(readings: number): void {
    this.#readingsMax = readings;
  }

  /**
   * How many readings can be in memory until what closes next is on disk, when no batch gets larger than `limit`: what is
   * closed already, and on each line the batch that closes next and the one behind it.
   */
  pendingBound(limit: number): number {
    let bound = this.#closedReadings;
    for (const line of ['monotonic', 'absolute'] as const) {
      const widest = this.#groups[line].reduce((most, { types }) => Math.max(most, types.length), 0);
      if (widest > 0) bound += Math.max(this.#open[line]?.readings ?? 0, limit, widest) + Math.max(limit, widest);
    }
    return bound;
  }

  /** A sink for series that are read together. */
  openGroup(line: TimeLine): RowSink {
    const group = new BatchGroup(line, (spec) => this.#host.isProtected?.(spec) ?? false);
    this.#groups[line].push(group);
    return new RowStage({
      types: group.types,
      addSeries: (spec: SeriesSpec) => {
        group.addSeries(spec);
        return this.#host.registry.idOf(spec) !== 'refused';
      },
      row: (timeUs, stage) => this.#append(group, timeUs, stage),
      drop: (reason, readings) => this.#host.drop(reason, readings),
    });
  }

  /**
   * For sources that can wait: a promise while closed batches pile up, because their ids or the buffer take their time.
   * Far below the bound at which readings are dropped, and enough to keep the buffer's thread busy.
   */
  ready(): Promise<void> | undefined {
    if (this.#hasRoom()) return undefined;
    if (this.#waiting === undefined) {
      const { promise, resolve } = withResolver();
      this.#waiting = { promise, resolve };
    }
    return this.#waiting.promise;
  }

  /**
   * When the next open batch comes of age, in microseconds of the host's clock; undefined while none is open, and while so
   * many wait that age does not count. Ask again after each `take`.
   */
  nextDeadlineUs(): number | undefined {
    if (this.#closed.length >= WAITING_BATCHES_MAX) return undefined;
    const { monotonic, absolute } = this.#open;
    const openedAtUs = Math.min(monotonic?.openedAtUs ?? Infinity, absolute?.openedAtUs ?? Infinity);
    return openedAtUs === Infinity ? undefined : openedAtUs + this.#bounds.ageUs;
  }

  /**
   * Up to which moment, at most `nowUs`, everything that came has been taken: until the oldest open batch was opened.
   * Undefined while closed ones wait.
   */
  takenUntilUs(nowUs: number): number | undefined {
    if (this.#closed.length > 0 || this.#assembled.length > 0) return undefined;
    const { monotonic, absolute } = this.#open;
    return Math.min(nowUs, monotonic?.openedAtUs ?? nowUs, absolute?.openedAtUs ?? nowUs);
  }

  /** Closes what has come of age. */
  tick(nowUs: number): void {
    for (const line of ['monotonic', 'absolute'] as const) {
      const open = this.#open[line];
      if (this.#closed.length >= WAITING_BATCHES_MAX) return;
      if (open !== undefined && nowUs >= open.openedAtUs + this.#bounds.ageUs) this.#close(line);
    }
  }

  /** Closes everything that is open: before a stop, and before the segment ends. */
  flush(): void {
    this.#close('monotonic');
    this.#close('absolute');
  }

  /** The next batch, oldest first; undefined when there is none, or while the ids of the next one's series are pending. */
  take(): TakenBatch | undefined {
    while (this.#assembled.length === 0) {
      const closed = this.#closed[0];
      if (closed === undefined) return undefined;
      if (closed.segment === PENDING_SEGMENT) closed.segment = this.#host.segmentId();
      if (closed.segment === PENDING_SEGMENT) return undefined;
      const assembled = assemble(closed, this.#host.registry);
      if (assembled === undefined) return undefined;
      this.#closed.shift();
      if (assembled.refused > 0) this.#host.drop('series_refused', assembled.refused);
      this.#lend(closed, assembled.batches);
    }
    return this.#assembled.shift();
  }

  #lend(closed: ClosedBatch, batches: Assembled['batches']): void {
    let onLoan = batches.length;
    const giveBack = () => {
      for (const { group, store } of closed.parts) group.recycle(store);
      this.#closedReadings -= closed.readings;
      this.#signalRoom();
    };
    if (onLoan === 0) giveBack();
    this.#assembled = batches.map(({ batch, isProtected }) => {
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        onLoan -= 1;
        if (onLoan === 0) giveBack();
      };
      return { batch, isProtected, release };
    });
  }

  #append(group: BatchGroup, timeUs: number, stage: RowStage): void {
    const readings = stage.count;
    if (this.pendingReadings + readings > this.#bounds.pendingReadings) {
      this.#host.drop('memory', readings);
      return;
    }
    const { line } = group;
    const segment = line === 'absolute' ? 0 : this.#host.segmentId();
    const cost = this.#cost;
    group.measure(stage, cost);
    let open = this.#open[line];
    const isFull = open !== undefined && open.readings + readings > this.#readingsMax;
    if (open !== undefined && (isFull || !takes(open, segment, timeUs, cost))) {
      this.#close(line);
      open = undefined;
      // The dictionaries are empty again.
      group.measure(stage, cost);
    }
    const fresh = open === undefined;
    open ??= this.#openBatch(line, segment, timeUs);
    group.append(timeUs, stage);
    this.#openReadings += readings;
    open.readings += readings;
    open.bytes += cost.bytes;
    open.strings += cost.strings;
    open.stringBytes += cost.stringBytes;
    const isUrgent = this.#watch?.row(group, segment, timeUs, stage) === true;
    if (isUrgent || open.readings >= this.#bounds.readings || open.bytes >= this.#bounds.bytes) this.#close(line);
    else if (fresh) this.#host.wake();
  }

  #openBatch(line: TimeLine, segment: number, baseUs: number): OpenBatch {
    const openedAtUs = this.#host.nowUs();
    const open = { segment, baseUs, openedAtUs, readings: 0, bytes: 0, strings: 0, stringBytes: 0 };
    this.#open[line] = open;
    return open;
  }

  #close(line: TimeLine): void {
    const open = this.#open[line];
    if (open === undefined) return;
    this.#open[line] = undefined;
    const { segment, baseUs, readings } = open;
    const closed: ClosedBatch = { segment, baseUs, readings, parts: [] };
    for (const group of this.#groups[line]) {
      const store = group.detach();
      if (store === undefined) continue;
      store.rebase(baseUs);
      closed.parts.push({ group, store });
    }
    this.#openReadings -= readings;
    this.#closedReadings += readings;
    this.#closed.push(closed);
    this.#host.wake();
  }

  #hasRoom(): boolean {
    return this.#closedReadings < READY_BATCHES * this.#bounds.readings;
  }

  #signalRoom(): void {
    if (this.#waiting === undefined || !this.#hasRoom()) return;
    this.#waiting.resolve();
    this.#waiting = undefined;
  }
}

/** Whether the row can join the open batch: same segment, an offset that is exact, strings that the format takes. */
function takes(open: OpenBatch, segment: number, timeUs: number, cost: RowCost): boolean {
  return (
    open.segment === segment &&
    Math.abs(timeUs - open.baseUs) <= Number.MAX_SAFE_INTEGER &&
    open.stringBytes + cost.stringBytes <= BATCH_STRING_BYTES_MAX &&
    open.strings + cost.strings <= BATCH_STRINGS_MAX
  );
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
