import { randomFillSync } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packCommit } from '@tributary/collector/store/packed-commit';
import { SqliteStore } from '@tributary/collector/store/sqlite/sqlite-store';
import type { CheckedItem, DeviceCommit, RollupColumns } from '@tributary/collector/store/store';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { itemChecksum } from '@tributary/proto/items/item';
import { type Figures, numberOption, type Trial } from '../trial.js';

interface Shape {
  /** Readings and body bytes of an item; bodies are random, so nothing squeezes them further. */
  readings: number;
  bodyBytes: number;
  devices: number;
  /** Of one device in one commit. */
  itemsPerCommit: number;
  commits: number;
}

interface ShapeFigures {
  items: number;
  /** Processor time of the whole process per item; framing on the calling thread is part of it. */
  microsPerItem: number;
  framingMicrosPerItem: number;
  itemsPerSecond: number;
  bodyBytesPerReading: number;
  bytesAtRestPerReading: number;
  bytesAtRestPerReadingCompacted: number;
  /** Produced is stored, by walking all of it. */
  verified: boolean;
}

const SHAPES = {
  /** Backlogs of large batches: streams of half a chunk and more. */
  batch1000: { readings: 1000, bodyBytes: 1550, devices: 8, itemsPerCommit: 32, commits: 60 },
  batch100: { readings: 100, bodyBytes: 230, devices: 8, itemsPerCommit: 100, commits: 40 },
  /** Many live devices, an item each: the dearest there is. */
  live100: { readings: 100, bodyBytes: 230, devices: 400, itemsPerCommit: 1, commits: 40 },
} as const satisfies Record<string, Shape>;

const START_US = 1_790_000_000_000_000;

/** The collector's store alone: what an item costs it, in processor time and in bytes at rest. */
export const trial: Trial = {
  options: { scale: 'how much of everything, 1 for all' },
  run: async (options) => {
    const scale = numberOption(options, 'scale', 1, 0);
    const figures: Figures = {};
    for (const [name, shape] of Object.entries(SHAPES)) {
      const measured = await measure(shape, scale);
      for (const [key, value] of Object.entries(measured)) {
        figures[name + key[0].toUpperCase() + key.slice(1)] = typeof value === 'number' ? round(value) : value;
      }
    }
    figures.rollupUpsertMicros = round(await measureRollups(Math.ceil(200_000 * scale)));
    return figures;
  },
};

function round(value: number): number {
  return Number(value.toPrecision(4));
}

async function withStore<T>(use: (store: SqliteStore, path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-bench-store-'));
  const path = join(folder, 'tributary.db');
  const store = await SqliteStore.open({ path });
  try {
    return await use(store, path);
  } finally {
    await store.close();
    await rm(folder, { recursive: true });
  }
}

async function measure(shape: Shape, scale: number): Promise<ShapeFigures> {
  return withStore(async (opened, path) => {
    let store = opened;
    const commitCount = Math.max(2, Math.round(shape.commits * scale));
    const epoch = new Uint8Array(16).fill(7);
    const parts: DeviceCommit[][] = Array.from({ length: commitCount }, () => []);
    for (let device = 0; device < shape.devices; device++) {
      const outcome = await store.register({
        name: { tenant: '', device: `device-${device}` },
        startId: new Uint8Array(16),
        agentVersion: '0.1.0',
        attributes: {},
        epochs: [{ epoch, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
        series: [],
        segments: [],
        anchors: [],
        nowUs: START_US,
        seriesPerDeviceMax: 10,
      });
      if (outcome.outcome !== 'registered') throw new Error(outcome.detail);
      const { deviceId, fencingToken, epochs } = outcome.device;
      for (let commit = 0; commit < commitCount; commit++) {
        const items = makeItems(shape, epoch, commit * shape.itemsPerCommit + 1);
        const readings = items.length * shape.readings;
        const { epochId } = epochs[0];
        parts[commit].push({
          deviceId,
          epochId,
          fencingToken,
          items,
          readingsProduced: readings,
          readingsWaiting: readings,
        });
      }
    }
    const items = commitCount * shape.devices * shape.itemsPerCommit;
    const readings = items * shape.readings;

    const framingStart = performance.now();
    for (const commit of parts) packCommit(commit, START_US);
    const framingMicros = (performance.now() - framingStart) * 1000;

    const cpuStart = process.cpuUsage();
    const start = performance.now();
    // Two at a time, as ingest does: one is framed while the other is on its way to the disk.
    let previous: Promise<unknown> = Promise.resolve();
    for (const commit of parts) {
      const next = store.commit(commit, START_US);
      await previous;
      previous = next;
    }
    await previous;
    const seconds = (performance.now() - start) / 1000;
    const cpu = process.cpuUsage(cpuStart);

    const audits = await store.audit(undefined);
    const stored = audits.reduce((sum, audit) => sum + audit.stored, 0);
    const verified = stored === readings && audits.every((audit) => audit.missing === 0 && audit.doubled === 0);
    const marks = (await store.undigested()).map(({ deviceId }) => ({ deviceId, position: Number.MAX_SAFE_INTEGER }));
    await store.close();
    const { size } = await stat(path);
    store = await SqliteStore.open({ path });
    await store.saveDerived({ marks, rollups: emptyRollups(0), ruleStates: [] });
    await store.compact();
    await store.close();
    const { size: compacted } = await stat(path);
    return {
      items,
      microsPerItem: (cpu.user + cpu.system) / items,
      framingMicrosPerItem: framingMicros / items,
      itemsPerSecond: items / seconds,
      bodyBytesPerReading: shape.bodyBytes / shape.readings,
      bytesAtRestPerReading: size / readings,
      bytesAtRestPerReadingCompacted: compacted / readings,
      verified,
    };
  });
}

function makeItems(shape: Shape, epoch: Uint8Array, first: number): CheckedItem[] {
  return Array.from({ length: shape.itemsPerCommit }, (_, at) => {
    const sequence = first + at;
    const body = randomFillSync(new Uint8Array(shape.bodyBytes));
    const { readings } = shape;
    const readingsBefore = (sequence - 1) * readings;
    const firstUs = START_US + readingsBefore * 100_000;
    return {
      sequence,
      kind: ItemKind.BATCH,
      checksum: itemChecksum(epoch, sequence, ItemKind.BATCH, readings, readingsBefore, body),
      readings,
      readingsBefore,
      body,
      firstUs,
      lastUs: firstUs + (readings - 1) * 100_000,
      offsetUs: START_US - 5_000_000,
      quality: ClockState.SYNCHRONIZED,
      lane: Lane.LIVE,
    };
  });
}

function emptyRollups(length: number): RollupColumns {
  const column = () => new Float64Array(length);
  return {
    length,
    deviceId: column(),
    seriesId: column(),
    stepSeconds: column(),
    start: column(),
    count: column(),
    min: column(),
    max: column(),
    mean: column(),
    m2: column(),
    first: column(),
    firstUs: column(),
    last: column(),
    lastUs: column(),
  };
}

/** Processor time of an upsert: half of the rows are new, half merge. */
async function measureRollups(rows: number): Promise<number> {
  return withStore(async (store) => {
    const perCall = Math.min(rows, 2_000);
    const calls = Math.ceil(rows / perCall);
    const cpuStart = process.cpuUsage();
    for (let call = 0; call < calls; call++) {
      const columns = emptyRollups(perCall);
      for (let row = 0; row < perCall; row++) {
        columns.deviceId[row] = 1 + (row % 100);
        columns.seriesId[row] = 1 + (row % 1000);
        columns.stepSeconds[row] = 60;
        columns.start[row] = 1_790_000_000 + 60 * ((call >> 1) * 2 + Math.floor(row / 1000));
        columns.count[row] = 60;
        columns.min[row] = 20.25 + row;
        columns.max[row] = 21.75 + row;
        columns.mean[row] = 20.9 + row;
        columns.m2[row] = 0.7;
        columns.first[row] = 20.3 + row;
        columns.firstUs[row] = START_US + row;
        columns.last[row] = 21.1 + row;
        columns.lastUs[row] = START_US + row + 59_000_000;
      }
      await store.saveDerived({ marks: [], rollups: columns, ruleStates: [] });
    }
    const cpu = process.cpuUsage(cpuStart);
    return (cpu.user + cpu.system) / (calls * perCall);
  });
}
