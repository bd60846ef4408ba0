import { describe, expect, it } from 'vitest';
import { compare } from './compare.js';
import type { AlertView } from './incident-view.js';
import type { ExpectedAlert } from './trial-schema.js';

function alert(rule: string, device: string, changes: Partial<AlertView> = {}): AlertView {
  const fields = { series: 'temperature', severity: 'warning', value: 1, startedAt: 0, labels: {}, annotations: {} };
  return { rule, device, late: false, ...fields, ...changes };
}

function text(expected: ExpectedAlert[], actual: AlertView[]): string[] {
  return compare(expected, actual).map((line) => `${line.sign} ${line.text}`);
}

describe('what was expected, compared with what happened', () => {
  it('is in order when each has a partner, however loosely the others are described', () => {
    const expected: ExpectedAlert[] = [
      { rule: 'hot', late: false },
      { rule: 'hot', device: 'a', late: false },
      { rule: 'hot', series: 'temperature', late: false },
    ];
    const actual = ['c', 'b', 'a'].map((device) => alert('hot', device));
    for (const turned of [expected, expected.toReversed()]) {
      expect(text(turned, actual)).toEqual([]);
      expect(text(turned, actual.toReversed())).toEqual([]);
    }
  });

  it('names what is missing, what is too much, and what differs', () => {
    expect(
      text(
        [
          { rule: 'hot', device: 'a', value: 2, late: false },
          { rule: 'cold', late: false },
        ],
        [alert('hot', 'a'), alert('wet', 'b', { series: '' })],
      ),
    ).toEqual([
      '- hot  a  value 2',
      '+ hot  a  temperature  value 1',
      '- cold',
      '+ wet  b  (the device)  value 1  started 0ms',
    ]);
  });

  it.each([
    ['the value', { value: 1 }, { value: 1 }, true],
    ['NaN', { value: Number.NaN }, { value: Number.NaN }, true],
    ['minus zero', { value: 0 }, { value: -0 }, true],
    ['another value', { value: 1 }, { value: 2 }, false],
    ['all labels', { labels: { a: 'b' } }, { labels: { a: 'b' } }, true],
    ['a label too few', { labels: {} }, { labels: { a: 'b' } }, false],
    ['another label', { labels: { c: 'b' } }, { labels: { a: 'b' } }, false],
    ['annotations', { annotations: { a: 'x' } }, { annotations: { a: 'y' } }, false],
    ['the severity', { severity: 'info' }, {}, false],
    ['the onset', { startedAt: 5 }, { startedAt: 5 }, true],
    ['history', {}, { late: true }, false],
    ['history that was expected', { late: true }, { late: true }, true],
  ] as const)('%s is compared', (_, expected, actual, isSame) => {
    const lines = text([{ rule: 'hot', late: false, ...expected }], [alert('hot', 'a', actual)]);
    expect(lines.length === 0).toBe(isSame);
  });
});
