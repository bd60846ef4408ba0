import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import {
  DeferralReason,
  ItemKind,
  Lane,
  LossReason,
  RejectionReason,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { describe, expect, it } from 'vitest';
import {
  Bench,
  batchBody,
  batchItem,
  declarationItem,
  EPOCH,
  item,
  NOW_US,
  registered,
  uploadHeader,
} from './ingest-fixture.js';

const ledgerEntry = { epoch: EPOCH, first: 3, last: 4, readings: 6, bound: false, reason: LossReason.EVICTED };

/** Each stands as item 2 between two good ones. */
const refused: { what: string; bad: Item; rejected?: RejectionReason; later?: DeferralReason }[] = [
  {
    what: 'an item above the size limit',
    bad: item(2, new Uint8Array(600 * 1024)),
    rejected: RejectionReason.TOO_LARGE,
  },
  {
    what: 'more readings than a batch may have',
    bad: batchItem(2, { readings: 70_000 }),
    rejected: RejectionReason.TOO_LARGE,
  },
  { what: 'a bad checksum', bad: batchItem(2, { checksum: 1 }), rejected: RejectionReason.CHECKSUM },
  {
    what: 'bytes that are no batch',
    bad: item(2, new Uint8Array([0xff, 0xff, 1])),
    rejected: RejectionReason.MALFORMED,
  },
  { what: 'a wrong count of readings', bad: batchItem(2, { readings: 4 }), rejected: RejectionReason.COUNT },
  {
    what: 'doubles in a series of booleans',
    bad: item(2, batchBody([1, 2, 3], { seriesId: 2 })),
    rejected: RejectionReason.TYPE,
  },
  {
    what: 'times that no clock can show',
    bad: item(2, batchBody([1, 2, 3], { segment: 0, startUs: Number.MAX_SAFE_INTEGER })),
    rejected: RejectionReason.MALFORMED,
  },
  { what: 'no kind', bad: batchItem(2, { kind: ItemKind.UNSPECIFIED }), rejected: RejectionReason.MALFORMED },
  {
    what: 'a declaration that is none',
    bad: item(2, new Uint8Array([0xff]), { kind: ItemKind.DECLARATION, readings: 0 }),
    rejected: RejectionReason.MALFORMED,
  },
  {
    what: 'a declaration of a range that runs backwards',
    bad: declarationItem(2, [{ ...ledgerEntry, first: 9 }]),
    rejected: RejectionReason.MALFORMED,
  },
  {
    what: 'a series that the catalogue does not have',
    bad: item(2, batchBody([1, 2, 3], { seriesId: 77 })),
    later: DeferralReason.REGISTER_AGAIN,
  },
  {
    what: 'a segment that was not declared',
    bad: item(2, batchBody([1, 2, 3], { segment: 2 })),
    later: DeferralReason.REGISTER_AGAIN,
  },
  {
    what: 'a declaration about more epochs than a device can have lost',
    bad: declarationItem(
      2,
      Array.from({ length: 65 }, (_, at) => ({ ...ledgerEntry, epoch: new Uint8Array(16).fill(at) })),
    ),
    rejected: RejectionReason.TOO_LARGE,
  },
  {
    what: 'a kind of a later version',
    bad: item(2, new Uint8Array(5), { kind: 77 as ItemKind, readings: 0 }),
    later: DeferralReason.UNKNOWN_ENCODING,
  },
  {
    what: 'an encoding of a later version',
    // A field 15 of the batch, which is kept for later bodies.
    bad: item(2, new Uint8Array([0x7a, 1, 0])),
    later: DeferralReason.UNKNOWN_ENCODING,
  },
];

describe('the verdict of an item', () => {
  it.each(refused)('for $what is its own, and its neighbours are stored', ({ bad, rejected, later }) => {
    const bench = new Bench();
    const { response } = bench.upload([batchItem(1), bad, batchItem(3)]);
    expect(response?.durable).toEqual([
      { first: 1, last: 1 },
      { first: 3, last: 3 },
    ]);
    expect(response?.rejected.map(({ sequence, reason }) => [sequence, reason])).toEqual(
      rejected === undefined ? [] : [[2, rejected]],
    );
    expect(response?.later.map(({ range, reason }) => [range, reason])).toEqual(
      later === undefined ? [] : [[{ first: 2, last: 2 }, later]],
    );
    expect([...bench.stored.keys()]).toEqual(['5/50/1', '5/50/3']);
    expect(bench.followed.map(({ sequence }) => sequence)).toEqual([1, 3]);
    expect(bench.core.inFlightBytes).toBe(0);
  });

  it('for a sequence from the future is later, and its neighbours are stored', () => {
    const bench = new Bench();
    const { response } = bench.upload([batchItem(1), batchItem(20_000_000), batchItem(2)]);
    expect(response?.durable).toEqual([{ first: 1, last: 2 }]);
    expect(response?.later).toEqual([
      { range: { first: 20_000_000, last: 20_000_000 }, reason: DeferralReason.FUTURE, delayMs: 5000 },
    ]);
  });

  it('for a declaration about an epoch that is not registered any more is durable: it was given up', () => {
    const bench = new Bench();
    const entry = { ...ledgerEntry, epoch: Buffer.alloc(16) };
    expect(bench.upload([declarationItem(1, [entry])]).response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(bench.commits[0][0].items[0].entries).toMatchObject([entry]);
  });

  it('for a fork is forked: nothing of it replaces what is stored', () => {
    const bench = new Bench();
    bench.upload([batchItem(1), batchItem(2), batchItem(3)]);
    const before = new Map(bench.stored);
    const other = item(2, batchBody([90, 91, 92]));
    const { response } = bench.upload([batchItem(1), other, batchItem(4)]);
    expect(response?.forked).toEqual([{ first: 2, last: 2 }]);
    expect(response?.durable).toEqual([
      { first: 1, last: 1 },
      { first: 4, last: 4 },
    ]);
    expect(bench.stored.get('5/50/2')).toBe(before.get('5/50/2'));
    expect(bench.followed.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(bench.core.counters).toMatchObject({ forks: 1, duplicates: 1, itemsStored: 4, readingsStored: 12 });
  });

  it('for a duplicate is durable again, without a second look at its body', () => {
    const bench = new Bench({}, [
      [
        { tenant: '', device: 'pump' },
        registered({
          epochs: [{ ...registered().epochs[0], ranges: [{ first: 1, last: 1 }], highestSequence: 1 }],
        }),
      ],
    ]);
    const body = new Uint8Array([0xff, 0xff, 1]);
    const known = item(1, body);
    bench.stored.set('5/50/1', known.checksum);
    expect(bench.upload([known]).response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(bench.followed).toEqual([]);
  });

  it('for a sequence that comes twice in one stream is given for each', () => {
    const bench = new Bench();
    const { response } = bench.upload([batchItem(1), batchItem(2), batchItem(1), item(2, batchBody([1, 1, 1]))]);
    expect(response?.forked).toEqual([{ first: 2, last: 2 }]);
    expect(response?.durable).toEqual([
      { first: 1, last: 2 },
      { first: 1, last: 1 },
    ]);
    expect(bench.commits.map((commit) => commit[0].items.map(({ sequence }) => sequence))).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });
});

describe('an upload', () => {
  it('of a device that has not registered here is told to', () => {
    const bench = new Bench();
    const { response } = bench.upload([batchItem(1)], {}, { tenant: '', device: 'valve' });
    expect(response?.later[0]?.reason).toBe(DeferralReason.REGISTER_AGAIN);
    expect(bench.stored.size).toBe(0);
  });

  it.each([
    ['an old fencing token', { fencingToken: 8 }],
    ['an epoch that is not registered', { epoch: new Uint8Array(16) }],
  ])('with %s is told to register again', (_, header) => {
    const bench = new Bench();
    expect(bench.upload([batchItem(1)], header).response?.later).toEqual([
      { range: { first: 1, last: Number.MAX_SAFE_INTEGER }, reason: DeferralReason.REGISTER_AGAIN, delayMs: 0 },
    ]);
    expect(bench.stored.size).toBe(0);
  });

  it('whose token grows old half-way is told to register again, and keeps what it stored', () => {
    const bench = new Bench();
    const { stream, peer } = bench.open();
    stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    bench.core.registered({ tenant: '', device: 'pump' }, registered({ fencingToken: 10 }));
    stream.message(encodeUploadMessage(undefined, [batchItem(2)]), NOW_US);
    bench.commitAll();
    expect(peer.response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(peer.response?.later[0]).toMatchObject({ range: { first: 2 }, reason: DeferralReason.REGISTER_AGAIN });
  });

  it('that the store fences is told to register again, now and the next time', () => {
    const bench = new Bench();
    bench.fenced = true;
    expect(bench.upload([batchItem(1)]).response?.later[0]?.reason).toBe(DeferralReason.REGISTER_AGAIN);
    expect(bench.upload([batchItem(1)]).response?.later[0]?.reason).toBe(DeferralReason.REGISTER_AGAIN);
    expect(bench.followed).toEqual([]);
  });

  it.each([
    ['without a header', encodeUploadMessage(undefined, [batchItem(1)])],
    ['of bytes that are no message', new Uint8Array([0xff, 0xff])],
    ['with a short epoch', encodeUploadMessage(uploadHeader({ epoch: new Uint8Array(3) }), [])],
    ['without a lane', encodeUploadMessage(uploadHeader({ lane: Lane.UNSPECIFIED }), [])],
    ['with a sequence of 0', encodeUploadMessage(uploadHeader(), [batchItem(0)])],
  ])('%s is a fault of the stream', (_, message) => {
    const bench = new Bench();
    const { stream, peer } = bench.open();
    stream.message(message, NOW_US);
    expect(peer.fault?.fault).toBe('invalid');
    expect(peer.response).toBeUndefined();
    expect(bench.core.counters.streamsOpen).toBe(0);
  });

  it('that ends before its header is a fault', () => {
    const { stream, peer } = new Bench().open();
    stream.halfClose(NOW_US);
    expect(peer.fault?.fault).toBe('invalid');
  });

  it('is answered only after its items are committed', () => {
    const bench = new Bench();
    const { stream, peer } = bench.open();
    stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    stream.halfClose(NOW_US);
    bench.wake();
    expect(peer.response).toBeUndefined();
    bench.answer();
    expect(peer.response?.durable).toEqual([{ first: 1, last: 1 }]);
  });

  it('whose connection breaks is stored all the same', () => {
    const bench = new Bench();
    const { stream, peer } = bench.open();
    stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    stream.cancel();
    bench.commitAll();
    expect(bench.stored.size).toBe(1);
    expect(peer.response).toBeUndefined();
    expect(bench.core.idle).toBe(true);
  });

  it('passes the watermark on when all that it brought is stored, and never back', () => {
    const bench = new Bench();
    bench.upload([batchItem(1)], { watermarkUs: 500_000 });
    bench.upload([batchItem(2, { checksum: 1 })], { watermarkUs: 600_000 });
    bench.upload([], { watermarkUs: 400_000 });
    bench.upload([], { watermarkUs: 700_000, lane: Lane.BACKFILL });
    bench.upload([], { watermarkUs: 9_000_000 });
    expect(bench.watermarks).toEqual([NOW_US - 500_000, NOW_US]);
  });

  it('takes as history what comes live below a watermark that was passed on', () => {
    const bench = new Bench();
    bench.upload([], { watermarkUs: 500_000 });
    const late = batchItem(1);
    const live = item(2, batchBody([1, 2, 3], { startUs: 500_000 }));
    bench.upload([late, live]);
    const lanes = bench.commits.flat().flatMap(({ items }) => items.map(({ lane }) => lane));
    expect(lanes).toEqual([Lane.BACKFILL, Lane.LIVE]);
  });

  it('passes no watermark on that goes beyond what is with the store', () => {
    const bench = new Bench();
    const { stream } = bench.open();
    const early = item(1, batchBody([1, 2, 3], { startUs: 100_000 }));
    stream.message(encodeUploadMessage(uploadHeader(), [early]), NOW_US);
    bench.wake();
    stream.cancel();
    const heartbeat = () => {
      const other = bench.open().stream;
      other.message(encodeUploadMessage(uploadHeader({ watermarkUs: 500_000 }), []), NOW_US);
      other.halfClose(NOW_US);
      // Watermarks are passed on in a turn of their own.
      bench.wake();
    };
    heartbeat();
    bench.commitAll();
    expect(bench.watermarks).toEqual([NOW_US - 900_000]);
    expect(bench.commits[0][0].items[0].lane).toBe(Lane.LIVE);
    heartbeat();
    bench.commitAll();
    expect(bench.watermarks).toEqual([NOW_US - 900_000, NOW_US - 500_000]);
  });

  it("tells the store of the device's counts even without items, once", () => {
    const bench = new Bench();
    bench.upload([], { readingsProduced: 12, readingsWaiting: 3 });
    bench.upload([], { readingsProduced: 12, readingsWaiting: 3 });
    expect(bench.commits).toHaveLength(1);
    expect(bench.commits[0][0]).toMatchObject({ items: [], readingsProduced: 12, readingsWaiting: 3 });
  });

  it('freezes event times by the segment, and flags those from the future', () => {
    const bench = new Bench();
    bench.upload([
      batchItem(1),
      item(2, batchBody([1, 2, 3], { startUs: 3_600_000_000 })),
      item(3, batchBody([1, 2, 3], { segment: 0, startUs: 5_000_000 })),
    ]);
    const [first, second, third] = bench.commits[0][0].items;
    expect(first).toMatchObject({
      firstUs: NOW_US - 1_000_000,
      lastUs: NOW_US - 998_000,
      offsetUs: NOW_US - 1_000_000,
      quality: ClockState.ESTIMATED,
    });
    expect(second).toMatchObject({ quality: TimeQuality.FUTURE, firstUs: NOW_US + 3_599_000_000 });
    expect(third).toMatchObject({ firstUs: 5_000_000, offsetUs: 0, quality: ClockState.SYNCHRONIZED });
    expect(bench.core.counters.fromFuture).toBe(1);
  });
});
