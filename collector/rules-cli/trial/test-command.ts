import { writeFileSync } from 'node:fs';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { glob } from '@tributary/core/rules/glob';
import { judge, type Verdict } from './judge.js';
import { junitSuite, verdictText } from './report.js';
import { loadTrials } from './trial-file.js';

export interface TestFlags {
  filter?: string;
  json?: boolean;
  junit?: string;
}

/**
 * Runs the tests of some files and prints how they went. Answers whether all pass. Rejects with a `TributaryError` when a
 * file is wrong; nothing of any file is run then.
 */
export async function runTests(files: readonly string[], flags: TestFlags, print: (text: string) => void) {
  const loaded = files.map((file) => loadTrials(file));
  const isMeant = glob(flags.filter ?? '*');
  const counts = { passed: 0, failed: 0 };
  const suites: string[] = [];
  for (const { file, rules, trials } of loaded) {
    const verdicts: Verdict[] = [];
    for (const trial of trials) {
      if (!isMeant(trial.name)) continue;
      const verdict = await judge(trial, rules);
      verdicts.push(verdict);
      counts[verdict.passes ? 'passed' : 'failed'] += 1;
      print(flags.json === true ? `${jsonLine({ file, ...verdict })}\n` : verdictText(verdict));
    }
    suites.push(junitSuite(file, verdicts));
  }
  if (counts.passed + counts.failed === 0) {
    throw new TributaryError('usage', `no test is named ${flags.filter}; * stands for any characters`);
  }
  if (flags.junit !== undefined) {
    writeFileSync(
      flags.junit,
      `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`,
    );
  }
  if (flags.json !== true) print(`${counts.passed} passed, ${counts.failed} failed\n`);
  return counts.failed === 0;
}

/** JSON has no NaN and no infinities; they are written as text. */
function jsonLine(value: object): string {
  return JSON.stringify(value, (_, one: unknown) =>
    typeof one === 'number' && !Number.isFinite(one) ? String(one) : one,
  );
}
