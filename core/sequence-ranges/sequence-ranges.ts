import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';

/** Ranges in order, without overlap and without touching. None of these functions changes its arguments. */
export type SequenceRanges = readonly SequenceRange[];

/** Any ranges as ordered ones; those whose last comes before their first are dropped. */
export function normalRanges(ranges: readonly SequenceRange[]): SequenceRange[] {
  const sorted = ranges.filter((range) => range.last >= range.first).sort((a, b) => a.first - b.first);
  const merged: SequenceRange[] = [];
  for (const range of sorted) {
    const previous = merged.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      if (range.last > previous.last) previous.last = range.last;
    } else merged.push({ first: range.first, last: range.last });
  }
  return merged;
}

/** The range that holds a sequence. */
export function rangeOf(ranges: SequenceRanges, sequence: number): SequenceRange | undefined {
  for (const range of ranges) {
    if (range.first > sequence) return undefined;
    if (sequence <= range.last) return range;
  }
  return undefined;
}

/** What is in both. */
export function commonRanges(a: SequenceRanges, b: SequenceRanges): SequenceRange[] {
  const common: SequenceRange[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const first = Math.max(a[i].first, b[j].first);
    const last = Math.min(a[i].last, b[j].last);
    if (first <= last) common.push({ first, last });
    if (a[i].last < b[j].last) i++;
    else j++;
  }
  return common;
}

/** What is in the first and not in the second. */
export function rangesWithout(a: SequenceRanges, b: SequenceRanges): SequenceRange[] {
  const left: SequenceRange[] = [];
  for (const range of a) {
    let first = range.first;
    for (const hole of b) {
      if (hole.last < first) continue;
      if (hole.first > range.last) break;
      if (hole.first > first) left.push({ first, last: hole.first - 1 });
      first = hole.last + 1;
    }
    if (first <= range.last) left.push({ first, last: range.last });
  }
  return left;
}

/** Adds a sequence that is above all others, in place: what a stream does with each item. */
export function pushSequence(ranges: SequenceRange[], sequence: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && sequence === last.last + 1) last.last = sequence;
  else ranges.push({ first: sequence, last: sequence });
}

/** How many sequences there are. */
export function countOf(ranges: SequenceRanges): number {
  let count = 0;
  for (const range of ranges) count += range.last - range.first + 1;
  return count;
}
