import { formatDurationMs } from '@tributary/core/config/duration';
import type { FieldProblem } from '@tributary/core/config/field-check';
import { loadConfig } from '@tributary/core/config/load-config';
import { nearest } from '@tributary/core/config/nearest';
import { loadRules, type Rule } from '@tributary/core/rules/rule';
import * as v from 'valibot';
import { type TimedSlot, timedSlots } from './series-notation.js';
import { type TrialFileInput, type TrialInput, trialFileSchema } from './trial-schema.js';

/** A slot takes some 50 microseconds of the collector and 200 bytes: this is a minute. */
const TRIAL_SLOTS_MAX = 1_000_000;

/** A trial with its times worked out. */
export interface Trial extends Omit<TrialInput, 'series'> {
  series: (Omit<TrialInput['series'][number], 'values'> & {
    type: TrialInput['series'][number]['values']['type'];
    slots: TimedSlot[];
  })[];
}

export interface TrialFile {
  file: string;
  rules: Rule[];
  trials: Trial[];
}

/** Reads a file of trials and the rules that it names. Throws a `TributaryError` that names file, line, field and remedy. */
export function loadTrials(file: string): TrialFile {
  const { rules, trials } = loadConfig(file, checkedSchema);
  return { file, rules, trials };
}

/** What lies between fields is checked while the places in the file are still known. */
const checkedSchema = v.pipe(
  trialFileSchema,
  v.rawTransform(({ dataset, addIssue, NEVER }): { rules: Rule[]; trials: Trial[] } => {
    const { value } = dataset;
    const problems: FieldProblem[] = [];
    const rules = rulesOf(value, problems);
    const trials = value.tests.map((trial, index) => trialOf(trial, value.interval, ['tests', index], problems));
    checkNames(value, rules, problems);
    for (const { path, message } of problems) {
      const items = path.map((key) => ({ type: 'unknown', origin: 'value', input: value, key, value }) as const);
      const [first, ...rest] = items;
      addIssue(first === undefined ? { message } : { message, path: [first, ...rest] });
    }
    return problems.length > 0 ? NEVER : { rules, trials };
  }),
);

type Path = (string | number)[];

function rulesOf({ rules }: TrialFileInput, problems: FieldProblem[]): Rule[] {
  const files = typeof rules === 'string' ? [rules] : rules;
  const found = new Map<string, Rule>();
  for (const [index, file] of files.entries()) {
    for (const rule of loadRules(file)) {
      if (found.has(rule.name)) {
        const path = typeof rules === 'string' ? ['rules'] : ['rules', index];
        problems.push({ path, message: `a second rule is named ${rule.name}; give it a name of its own` });
      }
      found.set(rule.name, rule);
    }
  }
  return [...found.values()];
}

function trialOf(trial: TrialInput, fileIntervalMs: number, path: Path, problems: FieldProblem[]): Trial {
  const intervalMs = trial.interval ?? fileIntervalMs;
  const keys = new Set<string>();
  const total = trial.series.reduce((sum, { values }) => sum + values.count, 0);
  if (total > TRIAL_SLOTS_MAX) {
    const message = `${total} slots in one test; at most ${TRIAL_SLOTS_MAX} are taken, make the interval longer`;
    problems.push({ path: [...path, 'series'], message });
    return { ...trial, series: [] };
  }
  const series = trial.series.map(({ values, ...one }, index) => {
    const slots = timedSlots(values, intervalMs);
    const at = [...path, 'series', index];
    const key = JSON.stringify([one.device, one.name, one.unit, Object.entries(one.labels).sort()]);
    if (keys.has(key)) problems.push({ path: [...at, 'name'], message: 'this series stands here twice; join them' });
    keys.add(key);
    if (Array.isArray(slots)) return { ...one, type: values.type, slots };
    problems.push({ path: [...at, 'values'], message: `at character ${slots.at + 1}: ${slots.problem}` });
    return { ...one, type: values.type, slots: [] };
  });
  for (const [name, { offline }] of Object.entries(trial.devices)) {
    let lastMs = 0;
    for (const [index, { from, until, backfillAt = until }] of offline.entries()) {
      const at = [...path, 'devices', name, 'offline', index];
      const message = (what: string, atLeast: number) => `${what}; write ${formatDurationMs(atLeast)} or later`;
      if (from < lastMs) problems.push({ path: [...at, 'from'], message: message('before the last one ends', lastMs) });
      if (until <= from) problems.push({ path: [...at, 'until'], message: message('not after from', from + 1) });
      if (backfillAt < until) problems.push({ path: [...at, 'backfillAt'], message: message('before until', until) });
      lastMs = until;
    }
  }
  return { ...trial, series };
}

/** A rule or a device that is misspelled would never fire, and a trial that expects nothing of it would pass. */
function checkNames({ tests }: TrialFileInput, rules: readonly Rule[], problems: FieldProblem[]): void {
  const ruleNames = rules.map((rule) => rule.name);
  for (const [index, { devices, series, expect, transitions }] of tests.entries()) {
    const path = ['tests', index];
    if (expect.length === 0 && transitions === undefined) {
      problems.push({ path, message: 'expects nothing, so it cannot fail; write expect or transitions' });
    }
    const deviceNames = [...new Set(series.map(({ device }) => device))];
    const check = (at: Path, word: string | undefined, known: readonly string[], what: string) => {
      if (word === undefined || known.includes(word)) return;
      const near = nearest(word, known);
      const remedy = near === undefined ? `there are ${known.join(', ') || 'none'}` : `did you mean ${near}?`;
      problems.push({ path: at, message: `no ${what} is named ${word}; ${remedy}` });
    };
    for (const name of Object.keys(devices)) {
      check([...path, 'devices', name], name, deviceNames, 'device of a series');
    }
    for (const [number, { firing }] of expect.entries()) {
      for (const [entry, { rule, device }] of firing.entries()) {
        const at = [...path, 'expect', number, 'firing', entry];
        check([...at, 'rule'], rule, ruleNames, 'rule');
        check([...at, 'device'], device, deviceNames, 'device');
      }
    }
    for (const [number, { rule, device }] of (transitions ?? []).entries()) {
      check([...path, 'transitions', number, 'rule'], rule, ruleNames, 'rule');
      check([...path, 'transitions', number, 'device'], device, deviceNames, 'device');
    }
  }
}
