import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryBatch } from './arbitrary-batch.js';
import { DecodeArena } from './arena.js';
import type { Batch, Column } from './batch.js';
import { BatchError } from './batch-error.js';
import { DEFAULT_BATCH_LIMITS } from './batch-limits.js';
import { decodeBatch } from './decode.js';
import { encodeBatch } from './encode.js';
import { differenceOf } from './same-batch.js';

const arena = new DecodeArena();

function column(values: number[], seriesId = 1): Column {
  return {
    seriesId,
    type: 'double',
    presence: null,
    count: values.length,
    values: Float64Array.from(values),
    strings: [],
  };
}

function batch(columns: Column[], rows = columns[0]?.count ?? 0): Batch {
  const times = Float64Array.from({ length: rows }, (_, row) => row * 100);
  const readings = columns.reduce((sum, one) => sum + one.count, 0);
  return { segment: 1, unitExponent: 3, baseTime: 1_700_000_000_000n, groups: [{ rows, times, columns }], readings };
}

function errorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof BatchError) return `${error.code} ${error.field}`;
    throw error;
  }
  return 'none';
}

describe('the batch codec', () => {
  it('gives back any batch bit for bit', () => {
    fc.assert(
      fc.property(arbitraryBatch, (original) => {
        arena.reset();
        expect(differenceOf(original, decodeBatch(encodeBatch(original), arena))).toBeNull();
      }),
      { seed: 20_26, numRuns: Number(process.env.PROPERTY_RUNS ?? 1500) },
    );
  });

  it('gives the same bytes for the same batch, whatever was encoded before', () => {
    fc.assert(
      fc.property(arbitraryBatch, arbitraryBatch, (one, other) => {
        const before = encodeBatch(one);
        encodeBatch(other);
        expect(Buffer.compare(before, encodeBatch(one))).toBe(0);
      }),
      { seed: 7, numRuns: 100 },
    );
  });

  it('reads a batch that lies within a larger buffer', () => {
    const original = batch([column([1.5, 2.25, -0, Number.NaN])]);
    const bytes = encodeBatch(original);
    const larger = new Uint8Array(bytes.length + 10).fill(0xff);
    larger.set(bytes, 5);
    arena.reset();
    expect(differenceOf(original, decodeBatch(larger.subarray(5, 5 + bytes.length), arena))).toBeNull();
  });

  it('keeps decoded batches apart until the arena is reset', () => {
    const originals = [1, 2, 3].map((n) => batch([column([n, n + 0.5, n * 3]), column([n, n, n], 7)]));
    arena.reset();
    const decoded = originals.map((original) => decodeBatch(encodeBatch(original), arena));
    originals.forEach((original, i) => {
      expect(differenceOf(original, decoded[i]!)).toBeNull();
    });
  });

  it('takes no new memory from the system once the arena is warm', () => {
    const bytes = encodeBatch(batch([column(Array.from({ length: 300 }, (_, i) => Math.sin(i)))]));
    arena.reset();
    decodeBatch(bytes, arena);
    const held = arena.byteLength;
    for (let i = 0; i < 1000; i++) {
      arena.reset();
      decodeBatch(bytes, arena);
    }
    expect(arena.byteLength).toBe(held);
  });

  it('refuses batches that contradict themselves, naming the field', () => {
    const good = batch([column([1, 2])]);
    const group = good.groups[0]!;
    const bad: [string, Batch][] = [
      ['segment', { ...good, segment: -1 }],
      ['unitExponent', { ...good, unitExponent: 10 }],
      ['baseTime', { ...good, baseTime: 2n ** 63n }],
      ['readings', { ...good, readings: 3 }],
      ['rows', { ...good, groups: [{ ...group, rows: 3 }] }],
      ['count', { ...good, groups: [{ ...group, columns: [{ ...column([1, 2]), count: 1 }] }] }],
      ['count', { ...good, groups: [{ ...group, columns: [{ ...column([1, 2]), presence: Uint8Array.of(1) }] }] }],
      ['presence', { ...good, groups: [{ ...group, columns: [{ ...column([1, 2]), presence: new Uint8Array(0) }] }] }],
      ['seriesId', { ...batch([column([1, 2], 3), column([1, 2], 3)]) }],
      ['seriesId', { ...batch([column([1, 2], 2 ** 32)]) }],
      ['times', { ...good, groups: [{ ...group, times: Float64Array.of(0.5, 1) }] }],
      ['values', { ...good, groups: [{ ...group, columns: [{ ...column([1, 2]), type: 'boolean' }] }] }],
      ['values', { ...good, groups: [{ ...group, columns: [{ ...column([0, 1]), type: 'string', strings: ['a'] }] }] }],
      [
        'strings',
        { ...good, groups: [{ ...group, columns: [{ ...column([0, 0]), type: 'string', strings: ['\ud800'] }] }] },
      ],
    ];
    for (const [field, one] of bad) expect(errorOf(() => encodeBatch(one))).toBe(`invalid ${field}`);
  });

  it('holds both sides to the limits', () => {
    const texts: Column = {
      ...column([0, 1, 0], 2),
      type: 'string',
      presence: Uint8Array.of(7),
      strings: ['on', 'off'],
    };
    const original = batch([column([1, 2, 3]), texts]);
    const bytes = encodeBatch(original);
    const tight = {
      maxBytes: bytes.length - 1,
      maxRows: 2,
      maxReadings: 5,
      maxColumns: 1,
      maxGroups: 0,
      maxBitmapRows: 2,
      maxStringBytes: 4,
      maxStrings: 1,
    };
    for (const [name, value] of Object.entries(tight)) {
      const limits = { ...DEFAULT_BATCH_LIMITS, [name]: value };
      expect(errorOf(() => encodeBatch(original, limits))).toBe(`limit ${name}`);
      expect(errorOf(() => decodeBatch(bytes, arena, limits))).toBe(`limit ${name}`);
    }
  });

  it('tells a later encoding from garbage', () => {
    expect(errorOf(() => decodeBatch(Uint8Array.of(0x2a, 1, 7), arena))).toBe('unknown-encoding body');
    expect(errorOf(() => decodeBatch(new Uint8Array(0), arena))).toBe('malformed body');
    expect(errorOf(() => decodeBatch(Uint8Array.of(0x22, 9, 7), arena))).toBe('malformed truncated');
    expect(errorOf(() => decodeBatch(Uint8Array.of(0x22, 0), arena))).toBe('malformed truncated');
  });

  it('skips fields that it does not know', () => {
    const original = batch([column([20.5, 20.75, 21])]);
    // Field 100 as varint, fixed64, bytes and fixed32.
    const unknown = [0xa0, 6, 1, 0xa1, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0xa2, 6, 2, 9, 9, 0xa5, 6, 1, 2, 3, 4];
    arena.reset();
    const decoded = decodeBatch(Uint8Array.from([...unknown, ...encodeBatch(original), ...unknown]), arena);
    expect(differenceOf(original, decoded)).toBeNull();
  });
});
