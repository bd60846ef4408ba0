import { describe, expect, it } from 'vitest';
import { retryAfterMs } from './retry-after.js';

const date = 'Thu, 26 Nov 2026 13:00:00 GMT';

describe('what Retry-After asks for', () => {
  it.each([
    ['nothing', {}, undefined],
    ['seconds', { 'retry-after': '120' }, 120_000],
    ['no seconds', { 'retry-after': '0' }, 0],
    ["a date, against the other side's clock", { 'retry-after': 'Thu, 26 Nov 2026 13:01:00 GMT', date }, 60_000],
    ['a date, without a clock to compare it with', { 'retry-after': 'Thu, 26 Nov 2026 13:01:00 GMT' }, undefined],
    ['a date that is over', { 'retry-after': 'Thu, 26 Nov 2026 12:59:00 GMT', date }, undefined],
    ['a negative number', { 'retry-after': '-1', date }, undefined],
    ['words', { 'retry-after': 'soon', date }, undefined],
  ])('%s', (_, headers, expected) => {
    expect(retryAfterMs(headers)).toBe(expected);
  });
});
