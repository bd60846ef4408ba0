import type { TimeRange } from '@tributary/proto/gen/tributary/v1/query';
import { CallError } from '../server/call-error.js';

/** Devices or series with all the labels that they may have, 10 kB each, fit the 4 MiB that clients take by default. */
const PAGE_MAX = 350;
const PAGE_DEFAULT = 100;

/** All of time that is exact. */
const ALL_TIME = { fromUs: Number.MIN_SAFE_INTEGER, untilUs: Number.MAX_SAFE_INTEGER };

/** How many a page holds, when so many were asked for; 0 is as the collector likes. */
export function pageLimit(asked: number): number {
  return asked === 0 ? PAGE_DEFAULT : Math.min(asked, PAGE_MAX);
}

/** What a page token of ours holds; throws a `CallError` for a token that is not ours. */
export function tokenNumbers(token: string, count: number): number[] {
  if (token === '') return new Array<number>(count).fill(0);
  const numbers = token.split(':').map(Number);
  if (numbers.length !== count || !numbers.every((one) => Number.isSafeInteger(one) && one >= 0)) {
    throw new CallError('invalid', 'page_token: not one that this collector gave');
  }
  return numbers;
}

/** Whether a request asks for all of time: it says no range, or an empty one. */
export function isAllTime(range: TimeRange | undefined): range is undefined {
  return range === undefined || (range.fromUs === 0 && range.untilUs === 0);
}

/** The range that is meant. An end of 0 is open: nobody means the hours before 1970 by it. */
export function span(range: TimeRange | undefined): { fromUs: number; untilUs: number } {
  if (isAllTime(range)) return ALL_TIME;
  return { fromUs: range.fromUs, untilUs: range.untilUs === 0 ? ALL_TIME.untilUs : range.untilUs };
}
