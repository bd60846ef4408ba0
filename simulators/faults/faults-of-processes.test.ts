import { expect, it } from 'vitest';
import { faults } from './registry.js';
import { testShortForms } from './short-forms.js';

testShortForms(faults.filter(({ number }) => number <= 20));

it('each row has a number of its own, in order', () => {
  const numbers = faults.map(({ number }) => number);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
});
