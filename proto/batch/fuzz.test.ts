import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryBatch } from './arbitrary-batch.js';
import { DecodeArena } from './arena.js';
import { BatchError } from './batch-error.js';
import { DEFAULT_BATCH_LIMITS } from './batch-limits.js';
import { decodeBatch } from './decode.js';
import { encodeBatch } from './encode.js';

const runs = Number(process.env.FUZZ_RUNS ?? 20_000);
/** Small limits: what a few bytes may blow up to is then visible within a short run. */
const limits = { ...DEFAULT_BATCH_LIMITS, maxRows: 4096, maxReadings: 16_384, maxColumns: 64 };
/**
 * Instants and values in blocks of at most twice their size, 16 doubles at least. Blocks of a size that one batch needed
 * stay for later ones: for each of the nine sizes up to 4096 rows the most that one batch could ask for.
 */
const arenaBytesMax = 9 * 8 * (2 * 2 * limits.maxReadings + 16 * (limits.maxColumns + limits.maxGroups)) + 256 * 1024;

/** A xorshift generator: the same seed gives the same inputs everywhere. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function survives(bytes: Uint8Array, arena: DecodeArena): void {
  arena.reset();
  try {
    const batch = decodeBatch(bytes, arena, limits);
    expect(batch.readings).toBeLessThanOrEqual(limits.maxReadings);
    for (const group of batch.groups) {
      for (let row = 0; row < group.rows; row++) {
        if (!Number.isSafeInteger(group.times[row])) throw new Error(`instant ${group.times[row]}`);
      }
    }
  } catch (error) {
    if (!(error instanceof BatchError)) throw error;
  }
}

function mutate(source: Uint8Array, other: Uint8Array, random: (below: number) => number): Uint8Array {
  const kind = random(5);
  if (kind === 0) return source.slice(0, random(source.length + 1));
  if (kind === 1)
    return Uint8Array.from([...source.slice(0, random(source.length + 1)), ...other.slice(random(other.length + 1))]);
  const bytes = source.slice();
  const changes = 1 + random(kind === 2 ? 1 : 8);
  for (let i = 0; i < changes && bytes.length > 0; i++) {
    const at = random(bytes.length);
    bytes[at] = kind === 3 ? random(256) : bytes[at]! ^ (1 << random(8));
  }
  return bytes;
}

describe('the decoder', () => {
  it('returns or throws BatchError for arbitrary bytes', () => {
    const random = generator(0x5eed);
    const arena = new DecodeArena();
    for (let run = 0; run < runs; run++) {
      const body = Uint8Array.from({ length: random(120) }, () => random(256));
      survives(body, arena);
      // Behind a valid envelope the same bytes reach the column decoders.
      survives(Uint8Array.from([0x22, body.length, ...body]), arena);
    }
    expect(arena.byteLength).toBeLessThanOrEqual(arenaBytesMax);
  }, 3_600_000);

  it('returns or throws BatchError for damaged batches', () => {
    const random = generator(0xda3a9e);
    const arena = new DecodeArena();
    const seeds = fc.sample(arbitraryBatch, { seed: 11, numRuns: 200 }).map((batch) => encodeBatch(batch));
    for (let run = 0; run < runs; run++) {
      survives(mutate(seeds[random(seeds.length)]!, seeds[random(seeds.length)]!, random), arena);
    }
    expect(arena.byteLength).toBeLessThanOrEqual(arenaBytesMax);
  }, 3_600_000);

  it('bounds what columns without values may take', () => {
    // The most rows, and as many columns as the limit admits, each with a bitmap of its own that has no bit set: a few bytes each.
    const rows = DEFAULT_BATCH_LIMITS.maxRows;
    const presence = new Uint8Array(rows / 8);
    const other = presence.slice();
    other[0] = 1;
    const columns = Array.from({ length: 16 }, (_, i) => ({
      seriesId: i,
      type: 'double' as const,
      presence: i % 2 === 0 ? presence : other,
      count: i % 2,
      values: new Float64Array(1),
      strings: [],
    }));
    const batch = {
      segment: 0,
      unitExponent: 0,
      baseTime: 0n,
      groups: [{ rows, times: new Float64Array(rows), columns }],
      readings: 8,
    };
    const arena = new DecodeArena();
    decodeBatch(encodeBatch(batch), arena);
    expect(arena.byteLength).toBeLessThanOrEqual(rows * 8 + 256 * 1024);
    columns.push({ ...columns[0]!, seriesId: 16 });
    const open = { ...DEFAULT_BATCH_LIMITS, maxBitmapRows: Number.POSITIVE_INFINITY };
    expect(() => decodeBatch(encodeBatch(batch, open), arena)).toThrow('maxBitmapRows');
  });

  it('bounds the time of the worst input that fits in the default limits', () => {
    const arena = new DecodeArena();
    // Constant columns of the most rows: the largest output for the fewest bytes.
    const columns = Array.from({ length: 4 }, (_, i) => ({
      seriesId: i,
      type: 'double' as const,
      presence: null,
      count: 65_536,
      values: new Float64Array(65_536).fill(7.5),
      strings: [],
    }));
    const times = Float64Array.from({ length: 65_536 }, (_, row) => row);
    const batch = {
      segment: 0,
      unitExponent: 0,
      baseTime: 0n,
      groups: [{ rows: 65_536, times, columns }],
      readings: 262_144,
    };
    const bytes = encodeBatch(batch);
    expect(bytes.length).toBeLessThan(64);
    const start = process.cpuUsage();
    decodeBatch(bytes, arena);
    const used = process.cpuUsage(start);
    expect((used.user + used.system) / 1000).toBeLessThan(250);
    expect(arena.byteLength).toBeLessThanOrEqual(8 * 2 * (262_144 + 65_536));
  });
});
