import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { ClockState, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import {
  ItemKind,
  Lane,
  type LedgerEntry,
  LossReason,
  ThinnedBatch,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import { itemChecksum } from '@tributary/proto/items/item';
import type {
  AlertRecord,
  CheckedItem,
  DeviceCommit,
  DeviceCommitOutcome,
  RegisteredDevice,
  Registration,
  RollupColumns,
  Store,
  StoredItems,
} from '../store.js';

/** A moment in 2026, in microseconds. */
export const NOW_US = 1_790_000_000_000_000;
export const SECOND_US = 1_000_000;
/** Readings in an item, unless said otherwise. */
export const READINGS = 10;

/** 16 bytes that are all the same. */
export function bytes16(value: number): Uint8Array {
  return new Uint8Array(16).fill(value);
}

/** A registration of a device with one epoch and two series. */
export function registration(device: string, changes: Partial<Registration> = {}): Registration {
  return {
    name: { tenant: '', device },
    startId: bytes16(1),
    agentVersion: '1.0.0',
    attributes: { site: 'north' },
    epochs: [{ epoch: bytes16(7), highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
    series: [
      { id: 1, name: 'temperature', unit: 'Cel', labels: { room: 'a', floor: '1' }, type: ValueType.DOUBLE },
      { id: 2, name: 'door', unit: '', labels: {}, type: ValueType.STRING },
    ],
    anchors: [],
    segments: [
      {
        id: 1,
        bootId: 'boot-1',
        offsetUs: NOW_US,
        observedAtUs: 5,
        uncertaintyUs: 1000,
        state: ClockState.SYNCHRONIZED,
      },
    ],
    nowUs: NOW_US,
    seriesPerDeviceMax: 10,
    ...changes,
  };
}

/** Registers and expects that to succeed. */
export async function register(
  store: Store,
  device: string,
  changes: Partial<Registration> = {},
): Promise<RegisteredDevice> {
  const outcome = await store.register(registration(device, changes));
  if (outcome.outcome !== 'registered') throw new Error(`${outcome.outcome}: ${outcome.detail}`);
  return outcome.device;
}

/**
 * A batch item of an epoch: ten readings, one a second, all items one after another in time. The body is not a batch,
 * because no store looks into it.
 */
export function batch(sequence: number, changes: Partial<CheckedItem> & { epoch?: Uint8Array } = {}): CheckedItem {
  const { epoch = bytes16(7), ...fields } = changes;
  const startUs = NOW_US + sequence * READINGS * SECOND_US;
  const item: CheckedItem = {
    sequence,
    kind: ItemKind.BATCH,
    checksum: 0,
    readings: READINGS,
    readingsBefore: (sequence - 1) * READINGS,
    body: new TextEncoder().encode(`body of ${sequence}`),
    firstUs: startUs,
    lastUs: startUs + (READINGS - 1) * SECOND_US,
    offsetUs: NOW_US,
    quality: ClockState.SYNCHRONIZED,
    lane: Lane.LIVE,
    ...fields,
  };
  item.checksum = itemChecksum(epoch, sequence, item.kind, item.readings, item.readingsBefore, item.body);
  return item;
}

export function batches(first: number, last: number, changes: Parameters<typeof batch>[1] = {}): CheckedItem[] {
  return Array.from({ length: last - first + 1 }, (_, at) => batch(first + at, changes));
}

/** A declaration of loss, as item and as what ingest has read in it. */
export function declaration(
  sequence: number,
  readingsBefore: number,
  entries: readonly Partial<LedgerEntry>[],
): CheckedItem {
  const full = entries.map((entry) => ({
    epoch: bytes16(7),
    first: 1,
    last: 1,
    readings: READINGS,
    bound: false,
    reason: LossReason.EVICTED,
    ...entry,
  }));
  const untimed = { firstUs: 0, lastUs: 0, offsetUs: 0, quality: ClockState.UNSPECIFIED };
  return batch(sequence, {
    kind: ItemKind.DECLARATION,
    readings: 0,
    readingsBefore,
    entries: full,
    ...untimed,
  });
}

/**
 * A thinned batch that holds `kept` readings of the ranges `[first, last, readings left out]`, with the event times of
 * those. The batch in it is none, because no store looks into it.
 */
export function thinned(
  sequence: number,
  readingsBefore: number,
  kept: number,
  ranges: readonly (readonly [number, number, number])[],
  changes: { epoch?: Uint8Array; of?: Uint8Array } = {},
): CheckedItem {
  const { epoch = bytes16(7), of = epoch } = changes;
  const entries = ranges.map(([first, last, readings]) => ({
    epoch: of,
    first,
    last,
    readings,
    bound: false,
    reason: LossReason.THINNED,
  }));
  // All that was kept is of the first range.
  const keptOf = ranges.map((_, at) => (at === 0 ? kept : 0));
  const body = ThinnedBatch.encode({
    replaced: entries,
    readings: kept,
    batch: new Uint8Array([sequence]),
    kept: keptOf,
  }).finish();
  const { firstUs } = batch(ranges[0][0]);
  const { lastUs } = batch(ranges[ranges.length - 1][1]);
  const fields = { kind: ItemKind.THINNED_BATCH, readings: 0, readingsBefore, body, entries, firstUs, lastUs };
  return batch(sequence, { epoch, lane: Lane.BACKFILL, ...fields });
}

/** A device's part of a commit, in its first epoch. */
export function part(
  device: RegisteredDevice,
  items: readonly CheckedItem[],
  changes: Partial<DeviceCommit> = {},
): DeviceCommit {
  return {
    deviceId: device.deviceId,
    epochId: device.epochs[0].epochId,
    fencingToken: device.fencingToken,
    items,
    readingsProduced: 0,
    readingsWaiting: 0,
    ...changes,
  };
}

/** Commits one device's items and answers what became of them. */
export async function commit(
  store: Store,
  device: RegisteredDevice,
  items: readonly CheckedItem[],
  changes: Partial<DeviceCommit> = {},
): Promise<Extract<DeviceCommitOutcome, { outcome: 'committed' }>> {
  const [outcome] = await store.commit([part(device, items, changes)], NOW_US);
  if (outcome.outcome !== 'committed') throw new Error(outcome.outcome);
  return outcome;
}

type RollupRow = Record<Exclude<keyof RollupColumns, 'length'>, number>;

/** Rollup columns from rows. */
export function rollups(rows: readonly RollupRow[]): RollupColumns {
  const column = (key: keyof RollupRow) => Float64Array.from(rows, (row) => row[key]);
  return {
    length: rows.length,
    deviceId: column('deviceId'),
    seriesId: column('seriesId'),
    stepSeconds: column('stepSeconds'),
    start: column('start'),
    count: column('count'),
    min: column('min'),
    max: column('max'),
    mean: column('mean'),
    m2: column('m2'),
    first: column('first'),
    firstUs: column('firstUs'),
    last: column('last'),
    lastUs: column('lastUs'),
  };
}

/** The rollup of readings `[time in microseconds, value]` in one bucket, computed the plain way. */
export function rollupOf(deviceId: number, start: number, readings: readonly [number, number][]): RollupRow {
  const values = readings.map(([, value]) => value);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const byTime = [...readings].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const [firstUs, first] = byTime[0];
  const [lastUs, last] = byTime[byTime.length - 1];
  return {
    deviceId,
    seriesId: 1,
    stepSeconds: 60,
    start,
    count: values.length,
    min: Math.min(...values),
    max: Math.max(...values),
    mean,
    m2: values.reduce((sum, value) => sum + (value - mean) ** 2, 0),
    first,
    firstUs,
    last,
    lastUs,
  };
}

export function alert(deviceId: number, incident: number, state: AlertState, late = false): AlertRecord {
  return {
    deviceId,
    seriesId: 1,
    alert: {
      number: 0,
      incidentId: bytes16(incident),
      state,
      rule: 'too-warm',
      ruleVersion: '1',
      severity: 'warning',
      device: 'd',
      seriesName: 'temperature',
      seriesUnit: 'Cel',
      seriesLabels: { room: 'a' },
      value: state === AlertState.RESOLVED ? Number.NaN : 31.5,
      startedAtUs: NOW_US + incident * SECOND_US,
      transitionAtUs: NOW_US + incident * SECOND_US,
      labels: { team: 'ops' },
      annotations: { summary: 'warm' },
      late,
      retracted: false,
      authority: RuleAuthority.COLLECTOR,
    },
  };
}

/** Sequences of what was read, in order. */
export function sequences(stored: readonly StoredItems[]): number[] {
  return stored.flatMap(({ items }) => items.map((item) => item.sequence));
}

/** What a store gives back of an item: all but the entries, which are in its ledger. */
export function plain({ entries: _, ...item }: CheckedItem): CheckedItem {
  return { ...item, body: Uint8Array.from(item.body) };
}
