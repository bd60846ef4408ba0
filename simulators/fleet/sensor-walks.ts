import { type Random, seededRandom } from '@tributary/core/clock/random';

/** How one sensor of a workload wanders and prints its values. */
interface Walk {
  name: string;
  unit: string;
  start: number;
  /** Standard deviation of a step, in units of the value. */
  step: number;
  /** `decimals` after the point, the shortest text of a `float32` of 7 digits, or an `average` with all of a double's. */
  print: { decimals: number } | 'float32' | 'average';
}

/**
 * Chosen so that a batch of them takes no fewer bytes a reading than the recordings that the format was measured on (1.56 in
 * batches of 100 rows, against a median of 1.08 in batches of 300): noise of some ten steps of the resolution, a logger that
 * stores 32-bit floats, and one that averages.
 */
const WALKS: readonly Walk[] = [
  { name: 'temperature', unit: 'Cel', start: 21, step: 0.12, print: { decimals: 2 } },
  { name: 'humidity', unit: '%', start: 48, step: 0.4, print: { decimals: 1 } },
  { name: 'pressure', unit: 'hPa', start: 1013.25, step: 0.3, print: { decimals: 2 } },
  { name: 'co2', unit: '[ppm]', start: 750, step: 12, print: { decimals: 0 } },
  { name: 'vibration', unit: 'mm/s', start: 2.1, step: 0.2, print: { decimals: 3 } },
  { name: 'voltage', unit: 'V', start: 231.4, step: 0.3, print: { decimals: 1 } },
  { name: 'current', unit: 'A', start: 6.2, step: 0.4, print: { decimals: 2 } },
  { name: 'speed', unit: '/min', start: 1480, step: 4, print: { decimals: 0 } },
  { name: 'acceleration', unit: 'm/s2', start: 0.98, step: 0.02, print: 'float32' },
  { name: 'level', unit: 'mm', start: 1240, step: 0.6, print: 'average' },
];

/** Readings that the averaging logger sums up. */
const AVERAGED = 12;

/** A sensor pulls back to where it began, so that no series leaves the range of a real one however long it gets. */
const PULL = 0.002;

export interface WalkingSeries {
  name: string;
  unit: string;
  /** The next value. */
  next(): number;
}

/** Series number `index` of a device; the same seed gives the same values. */
export function walkingSeries(index: number, seed: number): WalkingSeries {
  const { name, unit, start, step, print } = WALKS[index % WALKS.length]!;
  const random = seededRandom(seed * 1009 + index);
  let level = start;
  const next = () => {
    level += (start - level) * PULL + spread(random) * step;
    if (print === 'float32') return Number(Math.fround(level).toPrecision(7));
    if (print === 'average') return Math.round(level * AVERAGED) / AVERAGED;
    const scale = 10 ** print.decimals;
    return Math.round(level * scale) / scale;
  };
  return { name: `${name}-${index}`, unit, next };
}

/** About normal: the sum of four uniforms has a standard deviation of 0.58. */
function spread(random: Random): number {
  return (random() + random() + random() + random() - 2) / 0.58;
}
