import { describe, expect, it } from 'vitest';
import { firstAfter } from './first-after.js';

const times = Float64Array.of(10, 20, 30, 99);

describe('the first time after another', () => {
  it.each([
    [3, 5, 0],
    [3, 10, 1],
    [3, 15, 1],
    [3, 29, 2],
    [3, 30, 3],
    [3, Number.POSITIVE_INFINITY, 3],
    [3, Number.NEGATIVE_INFINITY, 0],
    [0, 5, 0],
  ])('of the first %i, after %d, is at %i', (count, afterUs, expected) => {
    expect(firstAfter(times, count, afterUs)).toBe(expected);
  });
});
