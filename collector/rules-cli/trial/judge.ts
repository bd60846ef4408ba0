import { formatDurationMs } from '@tributary/core/config/duration';
import type { Rule } from '@tributary/core/rules/rule';
import { compare, type DifferenceLine } from './compare.js';
import { firingView, type TransitionView, transitionView } from './incident-view.js';
import { runTrial } from './run-trial.js';
import type { Trial } from './trial-file.js';

/** Where a trial went otherwise than expected. */
export interface Difference {
  where: string;
  lines: DifferenceLine[];
}

export interface Verdict {
  name: string;
  passes: boolean;
  differences: Difference[];
  /** Everything that happened. */
  transitions: TransitionView[];
}

/** Runs a trial and compares what happened with what was expected. */
export async function judge(trial: Trial, rules: readonly Rule[]): Promise<Verdict> {
  const { records, firing } = await runTrial(trial, rules);
  const differences: Difference[] = [];
  for (const { at, firing: expected } of trial.expect) {
    const found = (firing.get(at) ?? []).map((incident) => firingView(incident, trial.start));
    const lines = compare(expected, found);
    if (lines.length > 0) differences.push({ where: `what fires at ${formatDurationMs(at)}`, lines });
  }
  const transitions = records.map((record) => transitionView(record, trial.start));
  if (trial.transitions !== undefined) {
    const lines = compare(trial.transitions, transitions);
    if (lines.length > 0) differences.push({ where: 'the transitions', lines });
  }
  return { name: trial.name, passes: differences.length === 0, differences, transitions };
}
