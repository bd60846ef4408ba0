import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rowBytes } from '@tributary/agent/buffer/row-size';
import { SqliteBuffer } from '@tributary/agent/buffer/sqlite-buffer';
import { type Random, seededRandom } from '@tributary/core/clock/random';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { ItemKind, ThinnedBatch } from '@tributary/proto/gen/tributary/v1/telemetry';
import { walkingSeries } from '@tributary/simulators/fleet/sensor-walks';
import { type Figures, numberOption, type Trial } from '../trial.js';

/** A device whose collector is away: what it samples, and how far a batch reaches. */
interface Shape {
  name: string;
  series: number;
  rowsPerSecond: number;
  batchSeconds: number;
  /** By which a poll is late at the most, in microseconds. */
  jitterUs: number;
}

// How long a full buffer lasts: real readings in a real buffer, appended until it has been full for a while.

const SHAPES: readonly Shape[] = [
  { name: 'tenAt1Hz', series: 10, rowsPerSecond: 1, batchSeconds: 5, jitterUs: 1000 },
  { name: 'hundredAt1Hz', series: 100, rowsPerSecond: 1, batchSeconds: 5, jitterUs: 1000 },
  { name: 'oneAt1kHz', series: 1, rowsPerSecond: 1000, batchSeconds: 1, jitterUs: 0 },
];
const WINDOW_MS = 60_000;
const GIBIBYTE = 2 ** 30;
const DAY_SECONDS = 86_400;
/** Batches that are appended, as a multiple of what the quota holds of them. */
const QUOTAS_APPENDED = 2.5;

export const trial: Trial = {
  options: { quotaKiB: 'how large the buffer is; all figures are per byte of it (4096)' },
  async run(options) {
    const quotaBytes = numberOption(options, 'quotaKiB', 4096, 64) * 1024;
    const directory = await mkdtemp(join(tmpdir(), 'tributary-bench-outage-'));
    try {
      const figures: Figures = {};
      for (const shape of SHAPES) {
        const of = await outage(join(directory, `${shape.name}.db`), shape, quotaBytes);
        for (const [name, value] of Object.entries(of)) figures[shape.name + name] = rounded(value);
      }
      return figures;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function outage(path: string, shape: Shape, quotaBytes: number): Promise<Record<string, number>> {
  const { series, rowsPerSecond, batchSeconds } = shape;
  const buffer = await SqliteBuffer.open({ path, quotaBytes, freeDiskBytesMin: 1 << 20, thinningWindowMs: WINDOW_MS });
  try {
    const next = batches(shape);
    const readings = series * rowsPerSecond * batchSeconds;
    const latenciesMs: number[] = [];
    let bytes = 0;
    let count = 0;
    for (; bytes < quotaBytes * QUOTAS_APPENDED; count++) {
      const body = next();
      const started = performance.now();
      await buffer.append([{ body, readings }]);
      if (bytes > quotaBytes) latenciesMs.push(performance.now() - started);
      bytes += rowBytes(body.length);
    }
    const status = await buffer.status();
    if (status.readingsThinned === 0) throw new Error('the buffer was never full');
    const thinned = await thinnedRows(buffer);
    latenciesMs.sort((a, b) => a - b);
    const bytesPerSecond = bytes / count / batchSeconds;
    const thinnedBytesPerSecond = thinned.bytes / (thinned.batches * batchSeconds);
    return {
      BytesPerReading: bytes / count / readings,
      // Of all that were produced, those that stay and those that do not.
      BytesPerReadingThinned: thinned.bytes / (thinned.batches * readings),
      DaysPerGiB: GIBIBYTE / bytesPerSecond / DAY_SECONDS,
      DaysPerGiBThinned: GIBIBYTE / thinnedBytesPerSecond / DAY_SECONDS,
      AppendP50Ms: latenciesMs[Math.floor(latenciesMs.length * 0.5)],
      AppendP99Ms: latenciesMs[Math.floor(latenciesMs.length * 0.99)],
      AppendMaxMs: latenciesMs.at(-1)!,
      ReadingsPerSecondWhenFull: (latenciesMs.length * readings * 1000) / latenciesMs.reduce((a, b) => a + b, 0),
    };
  } finally {
    await buffer.close();
  }
}

/** What thinned items take, and how many batches they stand for. */
async function thinnedRows(buffer: SqliteBuffer): Promise<{ bytes: number; batches: number }> {
  const found = { bytes: 0, batches: 0 };
  for (let from = 1; ; ) {
    const { items } = await buffer.read(from, 1 << 20, 1000);
    if (items.length === 0) return found;
    for (const { kind, body } of items) {
      if (kind !== ItemKind.THINNED_BATCH) continue;
      found.bytes += rowBytes(body.length);
      for (const { first, last } of ThinnedBatch.decode(body).replaced) found.batches += last - first + 1;
    }
    from = items.at(-1)!.sequence + 1;
  }
}

/** Encoded batches, one after another on the line. */
function batches({ series, rowsPerSecond, batchSeconds, jitterUs }: Shape): () => Uint8Array {
  const random: Random = seededRandom(1);
  const walks = Array.from({ length: series }, (_, index) => walkingSeries(index, 1));
  const rows = rowsPerSecond * batchSeconds;
  const stepUs = 1_000_000 / rowsPerSecond;
  let row = 0;
  return () => {
    const base = Math.round(row * stepUs);
    const times = Float64Array.from({ length: rows }, (_, at) => at * stepUs + Math.floor(random() * jitterUs));
    const columns = walks.map(({ next }, index) => {
      const values = Float64Array.from({ length: rows }, next);
      return { seriesId: index + 1, type: 'double' as const, presence: null, count: rows, values, strings: [] };
    });
    row += rows;
    const groups = [{ rows, times, columns }];
    return encodeBatch({ segment: 1, unitExponent: 6, baseTime: BigInt(base), groups, readings: rows * series });
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
