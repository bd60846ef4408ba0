import type { FieldProblem } from '../config/field-check.js';
import { checkCondition, hasCondition } from './check-condition.js';
import type { Condition } from './condition.js';
import type { Select } from './selection.js';

/** The fields of a rule that must go together. */
interface CheckedRule extends Condition {
  select?: Select | undefined;
  all?: readonly Condition[] | undefined;
  any?: readonly Condition[] | undefined;
  for: number;
  evaluate: 'collector' | 'device';
}

/** What is wrong with a rule whose fields are right by themselves. */
export function* checkRule(rule: CheckedRule): Iterable<FieldProblem> {
  const combination = rule.all === undefined ? 'any' : 'all';
  const members = rule[combination];
  if (rule.all !== undefined && rule.any !== undefined) {
    yield { path: ['any'], message: 'all and any in one rule; make two rules of it' };
    return;
  }
  if (members !== undefined) {
    yield* checkCombination(rule, combination, members);
    return;
  }
  if (!hasCondition(rule)) {
    yield {
      path: [],
      message: 'the rule has no condition; write above, below, outside, equals, absent, deviation, all or any',
    };
    return;
  }
  yield* checkCondition(rule);
  if (isOfDevice(rule)) {
    yield* checkDeviceSelect(rule.select, 'a rule about a device');
    if (rule.evaluate === 'device') {
      yield {
        path: ['evaluate'],
        message: 'a device that is away cannot say so itself; write collector, or absent of a series',
      };
    }
  } else if (rule.select?.name === undefined) {
    yield {
      path: ['select'],
      message: 'missing a name; write which series the rule watches, such as {name: temperature}',
    };
  }
  if (rule.absent !== undefined && rule.for > 0) {
    yield { path: ['for'], message: 'absent has a time of its own; write it there and leave for out' };
  }
}

function* checkCombination(rule: CheckedRule, combination: 'all' | 'any', members: readonly Condition[]) {
  if (hasCondition(rule)) {
    yield { path: [combination], message: `a condition beside ${combination}; make it one of its members` };
  } else if (rule.clear !== undefined) {
    yield { path: ['clear'], message: `${combination} has no band of its own; write clear into its members` };
  }
  yield* checkDeviceSelect(rule.select, `a rule with ${combination}`);
  for (const [index, member] of members.entries()) {
    const path = [combination, index];
    if (!hasCondition(member)) {
      yield { path, message: 'the member has no condition; write above, below, outside, equals, absent or deviation' };
      continue;
    }
    for (const problem of checkCondition(member)) yield { ...problem, path: [...path, ...problem.path] };
    if (isOfDevice(member)) {
      yield { path: [...path, 'absent', 'of'], message: 'a member is about series; make a rule of its own of it' };
    }
  }
}

function* checkDeviceSelect(select: Select | undefined, what: string): Iterable<FieldProblem> {
  for (const field of ['name', 'unit', 'labels'] as const) {
    if (select?.[field] === undefined) continue;
    yield {
      path: ['select', field],
      message: `${what} selects devices and not series; leave ${field} out${what.includes('with') ? ' and write it into the members' : ''}`,
    };
  }
}

function isOfDevice({ absent }: Condition): boolean {
  return typeof absent === 'object' && absent.of === 'device';
}
