import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import { Forward } from '@tributary/core/rules/forward';
import { parseRules } from '@tributary/core/rules/rule';
import type { RuleInstance, Transition } from '@tributary/core/rules/rule-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import { SeriesReadings } from '@tributary/core/rules/series-readings';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { type Figures, numberOption, type Trial } from '../trial.js';

const COLUMNS = 10;
const ROWS = 100;
/** A reading a second: a batch is 100 s of ten sensors, and each round comes after the one before. */
const BATCH_US = ROWS * 1e6;
/** Some day, so that times are as large as they are in the field. */
const START_US = 19_675 * 86_400e6;

/** Readings wander about 20 to 40 with a minute's swing: limits are met now and then, and most readings change nothing. */
const THRESHOLDS = `rules:
  - {name: t0, select: {name: "*"}, above: 41}
  - {name: t1, select: {name: "*"}, above: 39.5, clear: 38, for: 5s}
  - {name: t2, select: {name: "*"}, below: 18}
  - {name: t3, select: {name: "*"}, below: 20.5, clear: 22, keep_firing_for: 10s}
  - {name: t4, select: {name: "*"}, outside: [15, 45]}
  - {name: t5, select: {name: "*"}, outside: [19, 40.5], clear: [20, 39], for: 3s}
  - {name: t6, select: {name: "*"}, above: 60}
  - {name: t7, select: {name: "*"}, equals: 30}
  - {name: t8, select: {name: "*"}, below: 0, for: 1m}
  - {name: t9, select: {name: "*"}, above: 10, for: 1m}
`;

const MIXED = `rules:
  - {name: m0, select: {name: "*"}, above: 41}
  - {name: m1, select: {name: "*"}, below: 18, clear: 20, for: 5s}
  - {name: m2, select: {name: "*"}, outside: [19, 40.5], for: 3s, keep_firing_for: 10s}
  - {name: m3, select: {name: "*"}, rate: {over: 10s, per: 1m}, above: 30}
  - {name: m4, select: {name: "*"}, delta: {over: 1m}, outside: [-15, 15], clear: [-10, 10]}
  - {name: m5, select: {name: "*"}, window: {function: avg, over: 5m}, above: 33}
  - {name: m6, select: {name: "*"}, window: {function: stddev, over: 1m, every: 10s}, above: 9}
  - {name: m7, select: {name: "*"}, window: {function: quantile, quantile: 0.95, over: 10m}, above: 40}
  - {name: m8, select: {name: "*"}, deviation: {memory: 10m}}
  - {name: m9, select: {name: "*"}, absent: 1m}
`;

/** Rules that are there and select none of the series. */
const OTHERS = `rules:
${Array.from({ length: 1000 }, (_, index) => `  - {name: o${index}, select: {name: other-${index}-*}, above: 41}`).join('\n')}
`;

function rulesOf(...files: string[]): CompiledRule[] {
  return files.flatMap((text) => parseRules(text, 'rules.yaml')).map(compileRule);
}

/** One device's batch, encoded: a group of ten columns at the resolution of sensors. */
function batchOf(device: number): Uint8Array {
  let state = device + 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
  const columns = Array.from({ length: COLUMNS }, (_, index) => {
    const phase = random() * 2 * Math.PI;
    const values = Float64Array.from({ length: ROWS }, (__, row) => {
      const swing = Math.sin(phase + (row / ROWS) * 2 * Math.PI) * 10;
      return Math.round((30 + swing + random() - 0.5) * 100) / 100;
    });
    return { seriesId: index + 1, type: 'double' as const, presence: null, count: ROWS, values, strings: [] };
  });
  const times = Float64Array.from({ length: ROWS }, (_, row) => row * 1000);
  const groups = [{ rows: ROWS, times, columns }];
  const batch = { segment: 0, unitExponent: 3, baseTime: BigInt(START_US / 1000), groups, readings: COLUMNS * ROWS };
  return Uint8Array.from(encodeBatch(batch));
}

/** What a host does with committed batches: decode, take apart, and show each column to the rules of its series. */
class Evaluation {
  evaluations = 0;
  transitions = 0;
  readonly #batches: readonly Uint8Array[];
  /** By device and column. */
  readonly #instances: RuleInstance[][][];
  readonly #arena = new DecodeArena();
  readonly #readings = new SeriesReadings();
  readonly #forward = new Forward();
  readonly #out: Transition[] = [];
  #round = 0;

  constructor(rules: readonly CompiledRule[], batches: readonly Uint8Array[]) {
    this.#batches = batches;
    this.#instances = batches.map((_, device) =>
      Array.from({ length: COLUMNS }, (__, column) => {
        const series: SeriesIdentity = { tenant: '', device: `d${device}`, name: `s${column}`, unit: '', labels: {} };
        return rules.filter((rule) => rule.selects(series, {})).map((rule) => rule.newInstance(series));
      }),
    );
  }

  round(): void {
    const readings = this.#readings;
    const forward = this.#forward;
    const offsetUs = this.#round * BATCH_US;
    this.#round += 1;
    const origin = { epoch: '0123456789abcdef0123456789abcdef', sequence: this.#round };
    for (const [device, bytes] of this.#batches.entries()) {
      this.#arena.reset();
      const batch = decodeBatch(bytes, this.#arena);
      readings.openBatch(batch, offsetUs);
      for (const group of batch.groups) {
        readings.openGroup(group);
        for (const column of group.columns) {
          readings.select(column);
          for (const instance of this.#instances[device]![column.seriesId - 1]!) {
            forward.admit(readings, instance.lastUs);
            instance.advance(forward, origin, this.#out);
            this.evaluations += forward.count - forward.from;
          }
        }
      }
    }
    this.transitions += this.#out.length;
    this.#out.length = 0;
  }
}

/** Evaluations of a reading by a rule in a second of processor time, the best of three measurements. */
function speed(evaluation: Evaluation, seconds: number): number {
  const warm = performance.now();
  do evaluation.round();
  while (performance.now() - warm < seconds * 250);
  let best = 0;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const before = evaluation.evaluations;
    const used = process.cpuUsage();
    const start = performance.now();
    do evaluation.round();
    while (performance.now() - start < seconds * 250);
    const { user, system } = process.cpuUsage(used);
    best = Math.max(best, ((evaluation.evaluations - before) / (user + system)) * 1e6);
  }
  return Math.round(best);
}

/**
 * Rules over a thousand series that each have a reading a second, from encoded batches of 100 rows on: ten thresholds, the
 * same beside a thousand rules that select nothing, and ten rules of every condition.
 */
export const trial: Trial = {
  options: {
    series: 'series, a multiple of ten, default 1000',
    seconds: 'how long to measure in all, default 12',
  },
  async run(options): Promise<Figures> {
    const seconds = numberOption(options, 'seconds', 12, 0.01) / 3;
    const devices = Math.ceil(numberOption(options, 'series', 1000, 10) / COLUMNS);
    const batches = Array.from({ length: devices }, (_, device) => batchOf(device));
    const thresholds = new Evaluation(rulesOf(THRESHOLDS), batches);
    const evaluationsPerCoreSecond = speed(thresholds, seconds);
    const crowded = speed(new Evaluation(rulesOf(THRESHOLDS, OTHERS), batches), seconds);
    const mixed = new Evaluation(rulesOf(MIXED), batches);
    const mixedEvaluationsPerCoreSecond = speed(mixed, seconds);
    return {
      evaluationsPerCoreSecond,
      mixedEvaluationsPerCoreSecond,
      evaluationsPerCoreSecondBesideThousandOthers: crowded,
      transitionsPerMillionEvaluations: Math.round((thresholds.transitions / thresholds.evaluations) * 1e6),
      mixedTransitionsPerMillionEvaluations: Math.round((mixed.transitions / mixed.evaluations) * 1e6),
    };
  },
};
