import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch, Column } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { type Figures, numberOption, type Trial } from '../trial.js';

/** How one kind of values is made; `i` counts rows. Each column gets a generator of its own. */
interface Kind {
  name: string;
  columns: number;
  rows: number;
  column(random: Random, index: number, rows: number): (i: number) => number;
}

/** Uniform in 0 to 1, seeded. */
type Random = () => number;

/** Different batches of a kind, so that no branch predictor learns one by heart. */
const BATCHES = 20;

function generator(seed: number): Random {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
}

/** About normal, with standard deviation 0.58. */
function spread(random: Random): number {
  return random() + random() + random() + random() - 2;
}

/** Steps of a random walk in units of the resolution, and decimals: what the recorded sensors show, 2 to 10 bits a value. */
const SENSORS = [
  { decimals: 1, step: 3 },
  { decimals: 2, step: 8 },
  { decimals: 2, step: 20 },
  { decimals: 3, step: 60 },
  { decimals: 1, step: 2 },
  { decimals: 2, step: 5 },
  { decimals: 0, step: 20 },
  { decimals: 2, step: 12 },
  { decimals: 3, step: 120 },
  { decimals: 2, step: 2 },
] as const;

function sensor(random: Random, index: number): () => number {
  const { decimals, step } = SENSORS[index % SENSORS.length]!;
  const power = 10 ** decimals;
  let integer = Math.round((20 + index * 10) * power);
  return () => {
    integer += Math.round(spread(random) * step);
    return integer / power;
  };
}

const KINDS: readonly Kind[] = [
  { name: '', columns: 10, rows: 100, column: sensor },
  { name: 'TenRows', columns: 10, rows: 10, column: sensor },
  { name: 'ThousandRows', columns: 10, rows: 1000, column: sensor },
  {
    name: 'Averages',
    columns: 10,
    rows: 100,
    column: (random) => {
      let sum = 84_000;
      return () => {
        sum += Math.round(spread(random) * 40);
        return Number((sum / 1200).toPrecision(15));
      };
    },
  },
  {
    name: 'Singles',
    columns: 10,
    rows: 100,
    column: (random) => {
      let value = 1;
      return () => {
        value += spread(random) * 0.2;
        return Number(Math.fround(value).toPrecision(7));
      };
    },
  },
  { name: 'Computed', columns: 10, rows: 100, column: (random) => () => Math.sin(random()) * 40 },
  { name: 'Constant', columns: 10, rows: 100, column: (_, index) => () => 20 + index },
];

function batchOf(kind: Kind, random: Random): Batch {
  const { columns: width, rows } = kind;
  // A timer's jitter in microseconds: an instant costs about as much as a value, once for all ten columns.
  const times = Float64Array.from({ length: rows }, (_, i) => i * 10_000 + Math.round(spread(random) * 30));
  const columns = Array.from({ length: width }, (_, index): Column => {
    const next = kind.column(random, index, rows);
    const values = Float64Array.from({ length: rows }, (_, i) => next(i));
    return { seriesId: index + 1, type: 'double', presence: null, count: rows, values, strings: [] };
  });
  return {
    segment: 3,
    unitExponent: 6,
    baseTime: 86_400_123_456n,
    groups: [{ rows, times, columns }],
    readings: width * rows,
  };
}

/** Values a core-second in millions: processor time of this process, the best of three rounds. */
function millionValues(values: number, secondsPerRound: number, round: () => void): number {
  // The compiler needs some thousand calls before it settles.
  const warm = performance.now();
  while (performance.now() - warm < secondsPerRound * 500) round();
  let best = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    const used = process.cpuUsage();
    const start = performance.now();
    let rounds = 0;
    do {
      round();
      rounds++;
    } while (performance.now() - start < secondsPerRound * 1000);
    const { user, system } = process.cpuUsage(used);
    best = Math.max(best, (rounds * values) / (user + system));
  }
  return Math.round(best * 10) / 10;
}

/** Encodes and decodes batches of seeded random walks at the resolution of sensors, as hard as the recordings. */
export const trial: Trial = {
  options: { seconds: 'how long to measure in all, default 20' },
  async run(options): Promise<Figures> {
    const seconds = numberOption(options, 'seconds', 20, 0.01);
    // Each kind: encode and decode, each half a round of warming up and three to measure.
    const secondsPerRound = seconds / (KINDS.length * 2 * 3.5);
    const arena = new DecodeArena();
    const figures: Figures = {};
    for (const kind of KINDS) {
      const random = generator(42);
      const batches = Array.from({ length: BATCHES }, () => batchOf(kind, random));
      const encoded = batches.map((batch) => encodeBatch(batch));
      const values = batches.reduce((sum, batch) => sum + batch.readings, 0);
      figures[`encode${kind.name}MillionValuesPerCoreSecond`] = millionValues(values, secondsPerRound, () => {
        for (const batch of batches) encodeBatch(batch);
      });
      figures[`decode${kind.name}MillionValuesPerCoreSecond`] = millionValues(values, secondsPerRound, () => {
        arena.reset();
        for (const bytes of encoded) decodeBatch(bytes, arena);
      });
      const bytes = encoded.reduce((sum, one) => sum + one.length, 0);
      figures[`bytes${kind.name}PerReading`] = Math.round((bytes / values) * 1000) / 1000;
    }
    return figures;
  },
};
