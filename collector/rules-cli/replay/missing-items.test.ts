import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, Lane, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import type { CheckedItem } from '../../store/store.js';
import { MissingItems } from './missing-items.js';

/** An item of ten readings, ten seconds long; sequences count from 1. */
function item(sequence: number, changes: Partial<CheckedItem> = {}): CheckedItem {
  return {
    sequence,
    kind: ItemKind.BATCH,
    checksum: 0,
    readings: 10,
    readingsBefore: (sequence - 1) * 10,
    body: new Uint8Array(),
    firstUs: sequence * 10,
    lastUs: sequence * 10 + 9,
    offsetUs: 0,
    quality: ClockState.SYNCHRONIZED,
    lane: Lane.LIVE,
    ...changes,
  };
}

function thinned(sequence: number, first: number, last: number): CheckedItem {
  const entry = { epoch: new Uint8Array(16), readings: 5, bound: false, reason: LossReason.THINNED };
  const entries = [{ ...entry, first, last }];
  return item(sequence, { kind: ItemKind.THINNED_BATCH, readings: 0, entries, firstUs: first * 10, lastUs: last * 10 });
}

describe('what is missing between items', () => {
  it.each<[about: string, items: [CheckedItem, epochId: number][], breaks: [atUs: number, leftUs: number][][]]>([
    [
      'nothing in a line without gaps',
      [
        [item(1), 1],
        [item(2), 1],
        [item(3), 1],
      ],
      [[], [], []],
    ],
    [
      'nothing before the first',
      [
        [item(7), 1],
        [item(8), 1],
      ],
      [[], []],
    ],
    [
      'readings that were produced between',
      [
        [item(1), 1],
        [item(3), 1],
        [item(4), 1],
      ],
      [[], [[30, 19]], []],
    ],
    [
      'nothing where sequences without readings lie between',
      [
        [item(1), 1],
        [item(5, { readingsBefore: 10 }), 1],
        [item(6, { readingsBefore: 20 }), 1],
      ],
      [[], [], []],
    ],
    [
      'also behind the end of the item before, where that reaches further',
      [
        [item(1, { lastUs: 35 }), 1],
        [item(3), 1],
      ],
      [
        [],
        [
          [30, 29],
          [36, 35],
        ],
      ],
    ],
    [
      'whatever lies between two epochs',
      [
        [item(1), 1],
        [item(2, { readingsBefore: 0 }), 2],
      ],
      [[], [[20, 19]]],
    ],
    [
      'nothing where items come in another order than their times',
      [
        [item(2), 1],
        [item(1), 1],
        [item(3), 1],
      ],
      [[], [], []],
    ],
    [
      'nothing in what was thinned, or behind it',
      [
        [item(1), 1],
        [thinned(9, 2, 3), 1],
        [item(4), 1],
      ],
      [[], [], []],
    ],
    [
      'readings behind the item that follows what was thinned',
      [
        [thinned(9, 2, 3), 1],
        [item(4), 1],
        [item(6), 1],
      ],
      [[], [], [[60, 49]]],
    ],
  ])('is %s', (_, items, breaks) => {
    const missing = new MissingItems();
    const found = items.map(([one, epochId]) => missing.before(one, epochId));
    expect(found.map((each) => each.map(({ atUs, leftUs }) => [atUs, leftUs]))).toEqual(breaks);
  });
});
