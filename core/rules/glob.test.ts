import { describe, expect, it } from 'vitest';
import { glob } from './glob.js';

const cases: [pattern: string, text: string, expected: boolean][] = [
  ['*', '', true],
  ['*', 'anything', true],
  ['temp', 'temp', true],
  ['temp', 'temperature', false],
  ['temp*', 'temperature', true],
  ['*ture', 'temperature', true],
  ['t?mp', 'temp', true],
  ['t?mp', 'tmp', false],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-b-b-c-d', false],
  ['[x]', 'x', false],
  ['a.c', 'abc', false],
  ['', '', true],
  ['', 'x', false],
  ['**', 'x', true],
];

describe('glob', () => {
  it.each(cases)('%j over %j is %s', (pattern, text, expected) => {
    expect(glob(pattern)(text)).toBe(expected);
  });

  it('takes no exponential time', () => {
    expect(glob(`${'*a'.repeat(50)}b`)('a'.repeat(5000))).toBe(false);
  });
});
