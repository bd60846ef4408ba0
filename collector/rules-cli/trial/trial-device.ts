import { createHash } from 'node:crypto';
import type { Column } from '@tributary/proto/batch/batch';
import { encodeBatch } from '@tributary/proto/batch/encode';
import type { RegisterRequest } from '@tributary/proto/gen/tributary/v1/device';
import { type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, Lane, LossDeclaration, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { parseDeviceReference } from '../../query/read-scope.js';
import type { DeviceName } from '../../store/store.js';
import type { NotationType, TimedSlot } from './series-notation.js';
import type { Trial } from './trial-file.js';

/** A backlog that is younger is sent in order with what is live, as agents do. */
const LIVE_BACKLOG_MS = 30_000;

const VALUE_TYPES: Readonly<Record<NotationType, ValueType>> = {
  double: ValueType.DOUBLE,
  boolean: ValueType.BOOLEAN,
  string: ValueType.STRING,
};

/** An item with the moment in which it reaches the collector, in milliseconds from the beginning. */
export interface TimedItem {
  item: Item;
  producedMs: number;
  arrivesMs: number;
  lane: Lane;
}

export interface Offline {
  from: number;
  until: number;
  backfillAt?: number | undefined;
}

/** What one device of a trial produces, as its buffer would hold it: an item for each instant. */
export class TrialDevice {
  readonly reference: string;
  readonly name: DeviceName;
  readonly offline: readonly Offline[];
  readonly epoch: Uint8Array;
  /** In order of sequence. */
  readonly items: TimedItem[] = [];
  readonly #attributes: Record<string, string>;
  readonly #series: SeriesDeclaration[];
  readonly #startMs: number;
  #readings = 0;
  #sequence = 0;

  /** Without losses and always connected where `isDevice`: what the device itself sees. */
  constructor(trial: Trial, reference: string, isDevice: boolean) {
    this.reference = reference;
    this.name = parseDeviceReference(reference);
    const { attributes = {}, offline = [] } = trial.devices[reference] ?? {};
    this.offline = isDevice ? [] : offline;
    this.#attributes = attributes;
    this.#startMs = trial.start / 1000;
    // Known by its name alone, so that the same trial has the same incidents each time.
    this.epoch = new Uint8Array(createHash('sha256').update(reference).digest().subarray(0, 16));
    const series = trial.series.filter(({ device }) => device === reference);
    this.#series = series.map(({ name, unit, labels, type }, index) => {
      return { id: index + 1, name, unit, labels, type: VALUE_TYPES[type] };
    });
    for (const [offsetMs, slots] of byInstant(series.map((one) => one.slots))) {
      const lost = isDevice ? [] : slots.filter(({ slot }) => slot.kind === 'lost');
      const read = slots.filter(({ slot }) => slot.kind === 'reading');
      if (lost.length > 0) this.#lose(offsetMs, lost.length);
      if (read.length > 0) this.#read(offsetMs, read, series);
    }
  }

  registration(monotonicUs: number): RegisterRequest {
    return {
      startId: this.epoch,
      agentVersion: '0.0.0',
      attributes: this.#attributes,
      epochs: [{ epoch: this.epoch, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
      series: this.#series,
      segments: [],
      anchors: [],
      monotonicUs,
      segment: 0,
      rulesVersion: '',
    };
  }

  isOnline(atMs: number): boolean {
    return !this.offline.some(({ from, until }) => from <= atMs && atMs < until);
  }

  #read(offsetMs: number, slots: readonly InstantSlot[], series: Trial['series']): void {
    const columns = slots.map(({ index, slot }): Column => {
      const { type } = series[index]!;
      const value = slot.kind === 'reading' ? slot.value : Number.NaN;
      const strings = typeof value === 'string' ? [value] : [];
      const values = Float64Array.of(typeof value === 'string' ? 0 : Number(value));
      return { seriesId: index + 1, type, presence: null, count: 1, values, strings };
    });
    const body = encodeBatch({
      segment: 0,
      unitExponent: 3,
      baseTime: BigInt(Math.round(this.#startMs + offsetMs)),
      readings: columns.length,
      groups: [{ rows: 1, times: Float64Array.of(0), columns }],
    });
    this.#add(offsetMs, ItemKind.BATCH, columns.length, Uint8Array.from(body));
  }

  /** A batch that never leaves the device, and the item that says so. */
  #lose(offsetMs: number, readings: number): void {
    this.#sequence += 1;
    this.#readings += readings;
    const { epoch } = this;
    const first = this.#sequence;
    const entry = { epoch, first, last: first, readings, bound: false, reason: LossReason.EVICTED };
    this.#add(offsetMs, ItemKind.DECLARATION, 0, LossDeclaration.encode({ entries: [entry] }).finish());
  }

  #add(producedMs: number, kind: ItemKind, readings: number, body: Uint8Array): void {
    this.#sequence += 1;
    const sequence = this.#sequence;
    const readingsBefore = this.#readings;
    const checksum = itemChecksum(this.epoch, sequence, kind, readings, readingsBefore, body);
    this.#readings += readings;
    this.items.push({
      item: { sequence, kind, checksum, readings, readingsBefore, body },
      producedMs,
      ...this.#arrival(producedMs),
    });
  }

  #arrival(producedMs: number): { arrivesMs: number; lane: Lane } {
    const away = this.offline.find(({ from, until }) => from <= producedMs && producedMs < until);
    if (away === undefined) return { arrivesMs: producedMs, lane: Lane.LIVE };
    const { from, until, backfillAt } = away;
    if (backfillAt === undefined && until - from <= LIVE_BACKLOG_MS) return { arrivesMs: until, lane: Lane.LIVE };
    return { arrivesMs: backfillAt ?? until, lane: Lane.BACKFILL };
  }
}

interface InstantSlot {
  /** Of the series. */
  index: number;
  slot: TimedSlot['slot'];
}

/** What is read of all series at each instant, in order of time. */
function byInstant(series: readonly (readonly TimedSlot[])[]): [offsetMs: number, slots: InstantSlot[]][] {
  const instants = new Map<number, InstantSlot[]>();
  for (const [index, slots] of series.entries()) {
    for (const { offsetMs, slot } of slots) {
      const at = instants.get(offsetMs);
      if (at === undefined) instants.set(offsetMs, [{ index, slot }]);
      else at.push({ index, slot });
    }
  }
  return [...instants].sort(([a], [b]) => a - b);
}
