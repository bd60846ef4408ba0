import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { Figures, Trial } from '../trial.js';

const HOUR_US = 3600e6;
const MONTH_US = 30 * 24 * HOUR_US;

/** What befell the machine of the recording: the days in which its owners saw a failure coming or happening. */
const FAILURES = [
  { from: '2013-12-15', to: '2013-12-18' },
  { from: '2014-01-27', to: '2014-01-29' },
  { from: '2014-02-07', to: '2014-02-09' },
].map(({ from, to }) => ({ fromUs: startOf(from), toUs: startOf(to) + 24 * HOUR_US }));

/** The rules that docs/ALERTS.md tells of; readings are five minutes apart. */
const RULES: readonly [name: string, condition: string][] = [
  ['default', 'deviation: {}'],
  ['held', 'deviation: {}, for: 2h'],
  ['sensitive', 'deviation: {sensitivity: 3}, for: 2h'],
];

function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) * 1000;
}

interface Recording {
  timesUs: Float64Array;
  values: Float64Array;
}

/** A table with the header `time_us,NAME`. */
function readRecording(file: string): Recording {
  const rows = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').map(Number));
  return {
    timesUs: Float64Array.from(rows, ([time]) => time!),
    values: Float64Array.from(rows, ([, value]) => value!),
  };
}

function incidentsOf(condition: string, { timesUs, values }: Recording): { firedUs: number; endUs: number }[] {
  const [rule] = parseRules(`rules: [{name: r, select: {name: x}, gap: 15m, ${condition}}]`, 'rules.yaml');
  const instance = compileRule(rule!).newInstance({ tenant: '', device: 'd', name: 'x', unit: '', labels: {} });
  const out: Transition[] = [];
  const readings = { from: 0, count: timesUs.length, timesUs, values, rows: null, strings: null };
  instance.advance(readings, { epoch: '0'.repeat(32), sequence: 1 }, out);
  return out.flatMap(({ to, atUs }, index) =>
    to === 'firing' ? [{ firedUs: atUs, endUs: out[index + 1]?.atUs ?? timesUs[timesUs.length - 1]! }] : [],
  );
}

/** What deviation rules make of the recording of a machine that failed three times. */
export const trial: Trial = {
  options: { data: 'folder with nab_machine_temperature.csv, default $TRIBUTARY_DATA' },
  async run(options): Promise<Figures> {
    const folder = typeof options.data === 'string' ? options.data : process.env.TRIBUTARY_DATA;
    if (folder === undefined) throw new Error('--data must name the folder with nab_machine_temperature.csv');
    const recording = readRecording(join(folder, 'nab_machine_temperature.csv'));
    const { timesUs } = recording;
    const months = (timesUs[timesUs.length - 1]! - timesUs[0]!) / MONTH_US;
    const figures: Figures = {};
    for (const [name, condition] of RULES) {
      const incidents = incidentsOf(condition, recording);
      const during = ({ fromUs, toUs }: (typeof FAILURES)[number]) =>
        incidents.find(({ firedUs }) => firedUs >= fromUs && firedUs < toUs);
      const caught = FAILURES.map(during);
      const falseAlarms = incidents.filter(
        ({ firedUs, endUs }) => !FAILURES.some(({ fromUs, toUs }) => firedUs < toUs && endUs > fromUs),
      );
      figures[`${name}FailuresCaught`] = caught.filter((one) => one !== undefined).length;
      figures[`${name}FirstFired`] = caught
        .map((one) => (one === undefined ? 'never' : new Date(one.firedUs / 1000).toISOString().slice(0, 16)))
        .join(' ');
      figures[`${name}FalseAlarms`] = falseAlarms.length;
      figures[`${name}FalseAlarmsPerMonth`] = Math.round((falseAlarms.length / months) * 10) / 10;
    }
    return figures;
  },
};
