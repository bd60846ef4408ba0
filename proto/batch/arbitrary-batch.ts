import fc from 'fast-check';
import type { Batch, Column } from './batch.js';

/** Any 64 bits as a double, NaN payloads included. */
const anyBits = fc.tuple(fc.integer(), fc.integer()).map(([low, high]) => {
  const words = Uint32Array.of(low, high);
  return words;
});

function wordsOf(value: number): Uint32Array {
  return new Uint32Array(Float64Array.of(value).buffer);
}

const special = fc
  .constantFrom(
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.MIN_VALUE,
    Number.MAX_VALUE,
    Number.MAX_SAFE_INTEGER,
    2 ** 51,
    2 ** 51 - 1,
    -(2 ** 51),
    1e22,
    1e-22,
  )
  .map(wordsOf);

/** The doubles of one column, as words: passing a NaN through a number may change its payload. */
function columnOfDoubles(length: number): fc.Arbitrary<Uint32Array[]> {
  const lists = (one: fc.Arbitrary<Uint32Array>) => fc.array(one, { minLength: length, maxLength: length });
  const decimals = fc
    .tuple(fc.integer({ min: 0, max: 17 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.nat(32))
    .chain(([exponent, start, bits]) =>
      fc
        .array(fc.integer({ min: -(2 ** Math.max(0, bits - 1)), max: 2 ** Math.max(0, bits - 1) }), {
          minLength: length,
          maxLength: length,
        })
        .map((steps) => {
          let integer = start;
          return steps.map((step) => {
            integer += step;
            return wordsOf(integer / 10 ** exponent);
          });
        }),
    );
  const averages = fc
    .tuple(fc.constantFrom(3, 6, 7, 12, 16, 1200), fc.nat(15))
    .chain(([divisor, digits]) =>
      lists(fc.nat(50_000).map((integer) => wordsOf(Number((integer / divisor).toFixed(digits))))),
    );
  const steps = fc
    .tuple(fc.constantFrom(0.0625, 0.5, 7, 0.0024), fc.constantFrom(0, 0.03))
    .chain(([step, offset]) => lists(fc.nat(1000).map((n) => wordsOf(Number((offset + n * step).toFixed(6))))));
  const singles = lists(fc.float().map(wordsOf));
  const singleDigits = lists(
    fc.float({ min: -1000, max: 1000, noNaN: true }).map((v) => wordsOf(Number(v.toPrecision(7)))),
  );
  const runs = lists(fc.constantFrom(1.5, 2.25, Number.NaN, -0).map(wordsOf));
  const noise = lists(fc.double({ min: 20, max: 21, noNaN: true }).map(wordsOf));
  const mixed = lists(
    fc.oneof(
      { weight: 8, arbitrary: fc.integer({ min: 2000, max: 2400 }).map((integer) => wordsOf(integer / 100)) },
      { weight: 1, arbitrary: special },
      { weight: 1, arbitrary: anyBits },
    ),
  );
  const constant = fc.oneof(special, anyBits).map((words) => Array<Uint32Array>(length).fill(words));
  return fc.oneof(
    lists(anyBits),
    lists(special),
    decimals,
    averages,
    steps,
    singles,
    singleDigits,
    runs,
    noise,
    mixed,
    constant,
  );
}

const text = fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: 'binary', maxLength: 8 }));

function valuesOf(words: readonly Uint32Array[], spare: number): Float64Array {
  const bits = new Uint32Array((words.length + spare) * 2);
  words.forEach((pair, i) => {
    bits.set(pair, i * 2);
  });
  return new Float64Array(bits.buffer);
}

function columnOf(rows: number): fc.Arbitrary<Omit<Column, 'seriesId'>> {
  const presence = fc.option(fc.array(fc.boolean(), { minLength: rows, maxLength: rows }));
  return presence.chain((bits) => {
    const bitmap = bits === null ? null : new Uint8Array((rows + 7) >>> 3);
    bits?.forEach((present, row) => {
      if (present) bitmap![row >>> 3]! |= 1 << (row & 7);
    });
    const count = bits === null ? rows : bits.filter((present) => present).length;
    const base = { presence: bitmap, count };
    const doubles = fc
      .tuple(columnOfDoubles(count), fc.nat(3))
      .map(([words, spare]) => ({ ...base, type: 'double' as const, values: valuesOf(words, spare), strings: [] }));
    const booleans = fc
      .array(fc.boolean(), { minLength: count, maxLength: count })
      .map((states) => ({ ...base, type: 'boolean' as const, values: Float64Array.from(states, Number), strings: [] }));
    const strings = fc.array(text, { minLength: 1, maxLength: 5 }).chain((dictionary) =>
      fc.array(fc.nat(dictionary.length - 1), { minLength: count, maxLength: count }).map((indices) => ({
        ...base,
        type: 'string' as const,
        values: Float64Array.from(indices),
        strings: dictionary,
      })),
    );
    return fc.oneof(
      { weight: 6, arbitrary: doubles },
      { weight: 1, arbitrary: booleans },
      { weight: 1, arbitrary: strings },
    );
  });
}

function timesOf(rows: number): fc.Arbitrary<Float64Array> {
  const any = fc.array(fc.maxSafeInteger(), { minLength: rows, maxLength: rows });
  const regular = fc
    .tuple(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.nat(10_000_000), fc.constantFrom(0, 1, 40))
    .chain(([start, step, jitter]) =>
      fc
        .array(fc.nat(jitter), { minLength: rows, maxLength: rows })
        .map((jitters) => jitters.map((extra, row) => start + row * step + extra)),
    );
  const gaps = fc
    .array(fc.constantFrom(60_000_000, 60_000_000, 60_000_000, 3_600_000_000), { minLength: rows, maxLength: rows })
    .map((steps) => {
      let time = 0;
      return steps.map((step) => {
        time += step;
        return time;
      });
    });
  return fc.oneof(any, regular, gaps).map((times) => Float64Array.from(times, (time) => time + 0));
}

/** Batches of every shape that the format takes. */
export const arbitraryBatch: fc.Arbitrary<Batch> = fc
  .array(
    fc
      .oneof(fc.nat(3), fc.nat(40), fc.integer({ min: 90, max: 110 }))
      .chain((rows) =>
        fc
          .tuple(timesOf(rows), fc.array(columnOf(rows), { maxLength: 5 }))
          .map(([times, columns]) => ({ rows, times, columns })),
      ),
    { maxLength: 3 },
  )
  .chain((groups) => {
    const length = groups.reduce((sum, group) => sum + group.columns.length, 0);
    const ids = fc.oneof(
      fc.uniqueArray(fc.nat(0xffff_ffff), { minLength: length, maxLength: length }),
      fc.constant(Array.from({ length }, (_, i) => i + 1)),
    );
    const head = fc.tuple(fc.nat(0xffff_ffff), fc.nat(9), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), ids);
    return head.map(([segment, unitExponent, baseTime, seriesIds]) => {
      let next = 0;
      const numbered = groups.map((group) => ({
        ...group,
        columns: group.columns.map((column) => ({ ...column, seriesId: seriesIds[next++]! })),
      }));
      const readings = numbered.reduce((sum, g) => sum + g.columns.reduce((part, c) => part + c.count, 0), 0);
      return { segment, unitExponent, baseTime, groups: numbered, readings };
    });
  });
