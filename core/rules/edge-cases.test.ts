import { describe, expect, it } from 'vitest';
import { edgeCases, parseCaseInput } from './edge-cases.js';
import { type RunOptions, runEdgeCase, storyOf } from './run-edge-case.js';

const ways: [name: string, options: RunOptions][] = [
  ['readings one by one', { cuts: 'each', save: false }],
  ['readings together', { cuts: 'whole', save: false }],
  ['its state written down after each reading', { cuts: 'each', save: true }],
];

describe.each(ways)('the table of edge cases, %s', (_, options) => {
  it.each(edgeCases().map((one) => [`${one.group}: ${one.name}`, one] as const))('%s', (_name, one) => {
    const { transitions, statuses } = runEdgeCase(one.rule, one.events, options);
    expect(storyOf(transitions)).toEqual(one.expected);
    const asked = one.events.flatMap((event) => (event.kind === 'status' ? [event.expected] : []));
    expect(statuses).toEqual(asked);
  });
});

describe('the table of edge cases', () => {
  it('has a name of its own for each case', () => {
    const names = edgeCases().map(({ group, name }) => `${group}: ${name}`);
    expect(names.length).toBeGreaterThanOrEqual(60);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(['5', 'until:', 'hole:3', '1=2=3 x', 'soon=4', 'status:1'])('refuses the input %s', (input) => {
    expect(() => parseCaseInput(input)).toThrow(RangeError);
  });
});
