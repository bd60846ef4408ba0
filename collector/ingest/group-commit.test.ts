import { DeferralReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { describe, expect, it } from 'vitest';
import type { DeviceName } from '../store/store.js';
import { StoreError } from '../store/store-error.js';
import { Bench, batchBody, batchItem, item, NOW_US, PUMP, registered, uploadHeader } from './ingest-fixture.js';

const VALVE: DeviceName = { tenant: 'acme', device: 'valve' };

const twoDevices = () =>
  new Bench({}, [
    [PUMP, registered()],
    [VALVE, registered({ deviceId: 6 })],
  ]);

const sequences = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

describe('the group commit', () => {
  it('gathers what several devices send while a commit runs', () => {
    const bench = twoDevices();
    const pump = bench.open();
    const valve = bench.open(VALVE);
    pump.stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    bench.wake();
    valve.stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    pump.stream.message(encodeUploadMessage(undefined, [batchItem(2), batchItem(3)]), NOW_US);
    bench.commitAll();
    expect(bench.commits.map((commit) => commit.map(({ deviceId, items }) => [deviceId, items.length]))).toEqual([
      [[5, 1]],
      [
        [6, 1],
        [5, 2],
      ],
    ]);
    expect(bench.followed.map(({ deviceId, sequence, firstValue }) => [deviceId, sequence, firstValue])).toEqual([
      [5, 1, 1],
      [6, 1, 1],
      [5, 2, 2],
      [5, 3, 3],
    ]);
  });

  it('answers before anything follows, and follows in order, a little in each turn', () => {
    const bench = twoDevices();
    const values = new Float64Array(20_000).fill(1);
    const large = (sequence: number) =>
      item(sequence, batchBody([...values]), {
        readings: values.length,
        readingsBefore: (sequence - 1) * values.length,
      });
    const pump = bench.open();
    const valve = bench.open(VALVE);
    const watermarkUs = 1000;
    pump.stream.message(encodeUploadMessage(uploadHeader({ watermarkUs }), [large(1), large(2)]), NOW_US);
    valve.stream.message(encodeUploadMessage(uploadHeader({ watermarkUs }), [batchItem(1)]), NOW_US);
    for (const { stream } of [pump, valve]) stream.halfClose(NOW_US);
    bench.wake();
    bench.answer();
    expect(valve.peer.response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(pump.peer.response?.durable).toEqual([{ first: 1, last: 2 }]);
    expect([bench.followed.length, bench.watermarks.length, bench.core.idle]).toEqual([0, 0, false]);
    bench.wake();
    expect(bench.followed.map(({ deviceId }) => deviceId)).toEqual([5, 5]);
    expect(bench.watermarks).toEqual([]);
    bench.wake();
    expect(bench.followed.map(({ deviceId, sequence }) => [deviceId, sequence])).toEqual([
      [5, 1],
      [5, 2],
      [6, 1],
    ]);
    expect(bench.watermarks).toHaveLength(2);
    expect(bench.core.idle).toBe(true);
  });

  it('holds the memory of a few commits only when following falls behind', () => {
    // Nobody wakes it: the fourth commit makes room for itself.
    const behind = new Bench();
    const other = behind.open();
    other.stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    behind.wake();
    for (let sequence = 2; sequence <= 6; sequence++) {
      other.stream.message(encodeUploadMessage(undefined, [batchItem(sequence)]), NOW_US);
      behind.answer();
    }
    expect(behind.commits).toHaveLength(5);
    expect(behind.followed.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  it('hands items over in order of sequence, however they came', () => {
    const bench = new Bench();
    bench.upload([5, 1, 4, 2, 3].map((sequence) => batchItem(sequence)));
    expect(bench.commits[0][0].items.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(bench.followed.map(({ firstValue }) => firstValue)).toEqual([1, 2, 3, 4, 5]);
  });

  it('keeps a commit within its limits', () => {
    const bench = new Bench({ commitItemsMax: 4 });
    bench.upload(sequences(1, 10).map((sequence) => batchItem(sequence)));
    expect(bench.commits.map((commit) => commit[0].items.length)).toEqual([4, 4, 2]);
    expect(bench.followed.map(({ firstValue }) => firstValue)).toEqual(sequences(1, 10));
  });

  it('finds the one item that the store cannot take, and everybody else is stored', () => {
    const bench = twoDevices();
    bench.poison = ({ deviceId, items }) =>
      deviceId === 6 && items.some(({ sequence }) => sequence === 13) ? new Error('a constraint failed') : undefined;
    const pump = bench.open();
    const valve = bench.open(VALVE);
    pump.stream.message(
      encodeUploadMessage(
        uploadHeader(),
        sequences(1, 30).map((n) => batchItem(n)),
      ),
      NOW_US,
    );
    valve.stream.message(
      encodeUploadMessage(
        uploadHeader(),
        sequences(1, 30).map((n) => batchItem(n)),
      ),
      NOW_US,
    );
    pump.stream.halfClose(NOW_US);
    valve.stream.halfClose(NOW_US);
    bench.commitAll();
    expect(pump.peer.response?.durable).toEqual([{ first: 1, last: 30 }]);
    expect(valve.peer.response?.durable).toEqual([
      { first: 1, last: 12 },
      { first: 14, last: 30 },
    ]);
    expect(valve.peer.response?.later).toEqual([
      { range: { first: 13, last: 13 }, reason: DeferralReason.STORE, delayMs: 5000 },
    ]);
    expect(bench.stored.size).toBe(59);
    expect(bench.followed).toHaveLength(59);
    expect(bench.followed.every(({ firstValue, sequence }) => firstValue === sequence)).toBe(true);
  });

  it('gives an item up that fails again and again while others are stored', () => {
    const bench = new Bench();
    bench.poison = ({ items }) => (items.some(({ sequence }) => sequence === 2) ? new Error('again') : undefined);
    const verdicts = [1, 3, 4].map((other) => bench.upload([batchItem(2), batchItem(other)]).response);
    expect(verdicts.map((response) => response?.later.length)).toEqual([1, 1, 0]);
    expect(verdicts[2]?.rejected).toMatchObject([{ sequence: 2, reason: RejectionReason.MALFORMED }]);
  });

  it('gives an item up that is all that a lone device sends', () => {
    const bench = new Bench();
    bench.poison = ({ items }) => (items.some(({ sequence }) => sequence === 2) ? new Error('again') : undefined);
    const verdicts = Array.from({ length: 3 }, () => {
      const { response } = bench.upload([batchItem(2)]);
      // The commit without items, by which the store shows that it is well.
      bench.commitAll();
      return response;
    });
    expect(verdicts.map((response) => response?.later.length)).toEqual([1, 1, 0]);
    expect(verdicts[2]?.rejected).toMatchObject([{ sequence: 2, reason: RejectionReason.MALFORMED }]);
  });

  it('gives nothing up while the store takes nothing', () => {
    const bench = new Bench();
    bench.poison = () => new Error('everything fails');
    for (let attempt = 0; attempt < 5; attempt++) {
      const { response } = bench.upload([batchItem(1), batchItem(2), batchItem(3)]);
      expect(response?.rejected).toEqual([]);
      expect(response?.later.every(({ reason }) => reason === DeferralReason.STORE)).toBe(true);
    }
    bench.poison = undefined;
    expect(bench.upload([batchItem(1), batchItem(2), batchItem(3)]).response?.durable).toEqual([{ first: 1, last: 3 }]);
  });

  it('does not search for a bad item when the store itself is full or away', () => {
    const bench = new Bench();
    let asked = 0;
    bench.poison = () => {
      asked++;
      return new StoreError('full', 'no space is left');
    };
    const { response } = bench.upload(sequences(1, 50).map((sequence) => batchItem(sequence)));
    expect(asked).toBe(1);
    expect(response?.later).toEqual([{ range: { first: 1, last: 50 }, reason: DeferralReason.STORE, delayMs: 5000 }]);
    expect(bench.core.inFlightBytes).toBe(0);
  });

  it('says that it knows nothing of a commit that the disk failed in', () => {
    const bench = new Bench();
    bench.poison = () => new StoreError('full', 'nothing was written');
    bench.upload([batchItem(1)]);
    expect(bench.uncertain).toEqual([]);
    bench.poison = () => new StoreError('io', 'the connection was lost');
    bench.upload([batchItem(1)]);
    expect(bench.uncertain).toEqual([5]);
  });

  it('ends its search when too much is wrong', () => {
    const bench = new Bench();
    let asked = 0;
    bench.poison = () => {
      asked++;
      return new Error('everything fails');
    };
    bench.upload(sequences(1, 500).map((sequence) => batchItem(sequence)));
    // 64 attempts, and the commit without items that follows a suspicion.
    expect(asked).toBeLessThanOrEqual(65);
  });
});
