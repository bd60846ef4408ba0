import type { Batch, Column, Group } from './batch.js';

/** A batch that shows something of the format, and what. */
export interface VectorCase {
  name: string;
  shows: string;
  batch: Batch;
}

/** A xorshift generator of whole numbers below a bound: the same everywhere and always. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function doubles(values: readonly number[], seriesId = 1): Column {
  return {
    seriesId,
    type: 'double',
    presence: null,
    count: values.length,
    values: Float64Array.from(values),
    strings: [],
  };
}

/** A column from 16-digit big-endian bit patterns: a NaN's payload cannot be written as a number. */
function bitPatterns(patterns: readonly string[], seriesId = 1): Column {
  const column = doubles(new Array<number>(patterns.length).fill(0), seriesId);
  const words = new Uint32Array(column.values.buffer);
  patterns.forEach((pattern, i) => {
    words[i * 2 + 1] = Number.parseInt(pattern.slice(0, 8), 16);
    words[i * 2] = Number.parseInt(pattern.slice(8), 16);
  });
  return column;
}

function booleans(states: readonly number[], seriesId: number): Column {
  return { ...doubles(states, seriesId), type: 'boolean' };
}

function texts(indices: readonly number[], strings: readonly string[], seriesId: number): Column {
  return { ...doubles(indices, seriesId), type: 'string', strings };
}

/** The column without the rows whose bit is 0. */
function withPresence(column: Column, bits: readonly number[]): Column {
  const presence = new Uint8Array((bits.length + 7) >>> 3);
  bits.forEach((bit, row) => {
    presence[row >>> 3]! |= bit << (row & 7);
  });
  const values = column.values.filter((_, row) => bits[row] === 1);
  return { ...column, presence, count: values.length, values };
}

function group(columns: Column[], times: readonly number[]): Group {
  return { rows: times.length, times: Float64Array.from(times), columns };
}

function batch(groups: Group[], head: Partial<Batch> = {}): Batch {
  const readings = groups.reduce((sum, one) => sum + one.columns.reduce((part, column) => part + column.count, 0), 0);
  return { segment: 1, unitExponent: 3, baseTime: 5000n, groups, readings, ...head };
}

function regular(rows: number, step = 1000): number[] {
  return Array.from({ length: rows }, (_, row) => row * step);
}

/** One column at regular instants. */
function single(name: string, shows: string, values: readonly number[] | Column): VectorCase {
  const column = 'seriesId' in values ? values : doubles(values);
  return { name, shows, batch: batch([group([column], regular(column.count))]) };
}

function series(length: number, value: (i: number) => number): number[] {
  return Array.from({ length }, (_, i) => value(i));
}

function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

function walk(length: number, seed: number, start: number, spread: number, decimals: number): number[] {
  const random = generator(seed);
  let integer = start;
  return series(length, () => {
    integer += random(2 * spread + 1) - spread;
    return round(integer / 10 ** decimals, decimals);
  });
}

function decimalCases(): VectorCase[] {
  const noise = generator(77);
  const jump = walk(24, 5, 2000, 3, 1);
  jump[12] = 2_000_000_000;
  return [
    single('decimal-last', 'decimal form, predictor last', walk(20, 3, 2150, 4, 2)),
    single(
      'decimal-line',
      'predictor line',
      series(20, (i) => round(20 + i * i * 0.13, 2)),
    ),
    single('decimal-half-line', 'predictor half line', [0, 10, 15, 17, 18, 28, 33, 36, 37, 27, 22, 20, 19, 29, 34, 37]),
    single(
      'decimal-mean',
      'predictor mean',
      series(24, (i) => (i % 2 === 0 ? 50 : 61) + (i >> 1) + noise(2)),
    ),
    single(
      'decimal-level',
      'predictor level',
      series(24, () => 500 + noise(200)),
    ),
    single(
      'decimal-slope',
      'predictor slope',
      series(24, (i) => 100 + i * 1000 + noise(9)),
    ),
    single(
      'decimal-constant',
      'scale 63: no residuals',
      series(12, () => -7.25),
    ),
    single(
      'decimal-ramp',
      'scale 63 with a slope',
      series(40, (i) => i),
    ),
    single('decimal-escape', 'an escaped residual', jump),
    single('decimal-wide', 'scale above 20: raw low bits', walk(16, 9, 7_396_732_207, 90_000_000, 8)),
    single(
      'decimal-runs',
      'run lengths',
      series(40, (i) => [21.5, 21.6, 21.4, 22][(i / 9) | 0] ?? 19),
    ),
    single('decimal-negative', 'negative integers', walk(12, 4, -15, 9, 1)),
    single('decimal-large-exponent', 'exponent 12', [1.5e-12, 2e-12, 9e-12, 3e-12]),
    single('one-value', 'a column of one value', [36.6]),
    single(
      'stepped',
      'stepped form: sixteenths',
      walk(32, 8, 350, 4, 0).map((n) => n / 16),
    ),
    single(
      'stepped-offset',
      'stepped form with an offset',
      walk(32, 8, 350, 4, 0).map((n) => round(0.03 + n * 0.24, 2)),
    ),
    single(
      'significant',
      'significant form: four digits',
      [
        0, 0.15, 1.365, 9.998, 18.88, 99.97, 130.1, 231.2, 640.7, 1005, 498.6, 99.05, 42.11, 7.204, 0.871, -3.306,
        -45.12, -812.9,
      ],
    ),
  ];
}

function correctedCases(): VectorCase[] {
  const clean = walk(24, 21, 7493, 30, 2);
  const noisy = clean.map((value, i) => (i % 5 === 2 ? value + (i % 2 === 0 ? 1 : -2) * 2 ** -46 : value));
  const mixed: number[] = clean.map((value, i) => (i === 7 ? Math.PI : value));
  mixed[13] = -0;
  mixed[14] = Number.POSITIVE_INFINITY;
  const thirds = walk(24, 33, 6700, 40, 0).map((n, i) => Number((n / (i % 8 === 1 ? 300 : 100)).toPrecision(15)));
  const averages = walk(40, 35, 64_000, 900, 0).map((n) => Number((n / 3600).toPrecision(15)));
  const singles = walk(40, 34, 16_000, 90, 0).map((n, i) => {
    const value = Number((n / 600).toPrecision(7));
    return i % 9 === 4 ? round(value - 1e-5, 5) : value;
  });
  return [
    single('corrected-ulps', 'decimal form, corrections in units of the last place', noisy),
    single('corrected-raw', 'decimal form, exceptions stored raw', mixed),
    single('corrected-first', 'an exception in the first row', [Number.NaN, ...clean]),
    single('fraction-refined', 'fraction form: some values are averages', thirds),
    single('fraction-all', 'fraction form: all values are averages', averages),
    single('fraction-last-digit', 'fraction form: corrections in the last digit', singles),
  ];
}

function bitCases(): VectorCase[] {
  const random = generator(91);
  const hex = () =>
    random(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const values = series(12, (i) => Math.sqrt(i + 2));
  return [
    single('bits', 'bits form', values),
    single(
      'bits-single',
      'bits form of singles: 3 raw low bits',
      series(12, (i) => Math.fround(Math.sqrt(i + 2))),
    ),
    single(
      'bits-runs',
      'bits form with run lengths',
      series(24, (i) => Math.sqrt(((i / 6) | 0) + 2)),
    ),
    single('raw', 'raw form', bitPatterns(series(8, () => 0).map(() => hex() + hex()))),
    single(
      'raw-runs',
      'raw form with run lengths',
      bitPatterns(series(12, () => 0).map((_, i) => (i < 7 ? '7ff80000deadbeef' : 'fff0123456789abc'))),
    ),
    single(
      'special-values',
      'zeros, infinities, NaN payloads, subnormals, extremes',
      bitPatterns([
        '0000000000000000',
        '8000000000000000',
        '7ff0000000000000',
        'fff0000000000000',
        '7ff8000000000000',
        '7ff8000000000123',
        'fff8000000000001',
        '7ff0000000000001',
        '0000000000000001',
        '000fffffffffffff',
        '7fefffffffffffff',
        '3ff0000000000000',
      ]),
    ),
  ];
}

function timeCases(): VectorCase[] {
  const random = generator(17);
  const values = (rows: number) => [doubles(series(rows, (i) => i % 3))];
  const jitter = series(20, (i) => i * 10_079 + random(3));
  const gaps: number[] = [];
  for (let i = 0, time = 0; i < 60; i++) {
    gaps.push(time);
    time += i % 20 === 19 ? 3_600_000 : 60_000;
  }
  return [
    { name: 'times-regular', shows: 'regular instants', batch: batch([group(values(30), regular(30, 900))]) },
    { name: 'times-jitter', shows: 'instants with jitter', batch: batch([group(values(20), jitter)]) },
    { name: 'times-gaps', shows: 'instants as runs of differences', batch: batch([group(values(60), gaps)]) },
    {
      name: 'times-unordered',
      shows: 'instants in any order, before the base time too',
      batch: batch([group(values(6), [500, 100, -300, 100, 0, 9001])]),
    },
    {
      name: 'times-raw',
      shows: 'instants beyond 2^51',
      batch: batch([group(values(3), [2 ** 53 - 1, -(2 ** 53 - 1), 0])]),
    },
    {
      name: 'absolute-time',
      shows: 'segment 0, microseconds, a base time with zeros',
      batch: batch([group(values(4), regular(4, 60_000_000))], {
        segment: 0,
        unitExponent: 6,
        baseTime: 1_700_000_040_000_000n,
      }),
    },
    {
      name: 'base-time-extremes',
      shows: 'the smallest base time, nanoseconds, the largest segment',
      batch: batch([group(values(2), [0, 1])], { segment: 2 ** 32 - 1, unitExponent: 9, baseTime: -(2n ** 63n) }),
    },
  ];
}

function shapeCases(): VectorCase[] {
  const random = generator(55);
  const rows = 40;
  const scattered = series(rows, () => random(2));
  const tail = series(rows, (i) => (i < 33 ? 1 : 0));
  const states = ['off', 'warming up', 'on', 'défaut', ''];
  return [
    {
      name: 'worked-example',
      shows: 'the example of FORMAT.md',
      batch: batch([group([doubles([21.5, 21.6, 21.4], 7)], [0, 1000, 2000])]),
    },
    { name: 'empty', shows: 'no groups', batch: batch([]) },
    { name: 'no-rows', shows: 'a group without rows', batch: batch([group([doubles([]), booleans([], 2)], [])]) },
    {
      name: 'presence',
      shows: 'bitmaps: scattered, as before, runs, none present',
      batch: batch([
        group(
          [
            withPresence(doubles(walk(rows, 6, 100, 3, 1), 1), scattered),
            withPresence(doubles(walk(rows, 7, 100, 3, 1), 2), scattered),
            doubles(walk(rows, 8, 100, 3, 1), 3),
            withPresence(doubles(walk(rows, 9, 100, 3, 1), 4), scattered),
            withPresence(doubles(walk(rows, 10, 100, 3, 1), 5), tail),
            withPresence(doubles(walk(rows, 11, 100, 3, 1), 6), new Array<number>(rows).fill(0)),
          ],
          regular(rows),
        ),
      ]),
    },
    {
      name: 'booleans',
      shows: 'boolean columns, as bits and as runs',
      batch: batch([
        group(
          [
            booleans(
              series(rows, () => random(2)),
              1,
            ),
            booleans(tail, 2),
          ],
          regular(rows),
        ),
      ]),
    },
    {
      name: 'strings',
      shows: 'string columns: one string, scattered, runs',
      batch: batch([
        group(
          [
            texts(new Array<number>(rows).fill(0), ['idle'], 1),
            texts(
              series(rows, () => random(5)),
              states,
              2,
            ),
            texts(
              series(rows, (i) => (i < 20 ? 0 : i < 39 ? 2 : 3)),
              states,
              3,
            ),
          ],
          regular(rows),
        ),
      ]),
    },
    {
      name: 'groups',
      shows: 'two groups; series ids that skip, fall back and are the largest',
      batch: batch([
        group([doubles([20.1, 20.2, 20.2], 7), doubles([45, 44, 44], 3)], [0, 1000, 2000]),
        group([doubles([101.3], 2 ** 32 - 1), booleans([1], 4)], [1500]),
      ]),
    },
  ];
}

/** All golden vectors. */
export function vectorCases(): VectorCase[] {
  return [...decimalCases(), ...correctedCases(), ...bitCases(), ...timeCases(), ...shapeCases()];
}
