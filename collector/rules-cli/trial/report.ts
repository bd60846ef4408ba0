import { describe } from './compare.js';
import type { TransitionView } from './incident-view.js';
import type { Verdict } from './judge.js';

/** A story that is longer is told up to here; `--json` has all of it. */
const TRANSITIONS_SHOWN_MAX = 50;

/** What a verdict says to a person: one line, and what was expected and what happened where it failed. */
export function verdictText({ name, passes, differences, transitions }: Verdict): string {
  if (passes) return `ok      ${name}\n`;
  let text = `FAILED  ${name}\n`;
  for (const { where, lines } of differences) {
    text += `  ${where} (- expected, + happened):\n`;
    for (const { sign, text: line } of lines) text += `    ${sign} ${line}\n`;
  }
  return `${text}  all that happened:\n${storyText(transitions)}`;
}

function storyText(transitions: readonly TransitionView[]): string {
  if (transitions.length === 0) return '    nothing fired\n';
  let text = '';
  for (const one of transitions.slice(0, TRANSITIONS_SHOWN_MAX)) {
    text += `    ${describe(one, ['value', 'startedAt', 'recordedAt', 'late'])}\n`;
  }
  const more = transitions.length - TRANSITIONS_SHOWN_MAX;
  return more > 0 ? `${text}    and ${more} more\n` : text;
}

/** The verdicts of one file as a test suite of JUnit's XML, which CI systems show. */
export function junitSuite(file: string, verdicts: readonly Verdict[]): string {
  const failed = verdicts.filter(({ passes }) => !passes).length;
  const cases = verdicts.map((verdict) => {
    const head = `    <testcase classname="${escaped(file)}" name="${escaped(verdict.name)}"`;
    if (verdict.passes) return `${head}/>\n`;
    return `${head}><failure>${escaped(verdictText(verdict))}</failure></testcase>\n`;
  });
  const counts = `tests="${verdicts.length}" failures="${failed}"`;
  return `  <testsuite name="${escaped(file)}" ${counts}>\n${cases.join('')}  </testsuite>\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => ENTITIES[character] as string);
}
