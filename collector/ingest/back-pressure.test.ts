import { DeferralReason, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { describe, expect, it } from 'vitest';
import { Bench, batchBody, batchItem, item, NOW_US, Peer, PUMP, registered, uploadHeader } from './ingest-fixture.js';

describe('back-pressure', () => {
  it('stops reading a device that has too much in flight, and goes on when it is committed', () => {
    const bench = new Bench({
      deviceInFlightBytesMax: 3000,
      streamBytesMax: 3000,
      messageBytesMax: 2000,
      itemBytesMax: 1000,
    });
    const { stream, peer } = bench.open();
    stream.message(
      encodeUploadMessage(
        uploadHeader(),
        [1, 2, 3, 4, 5, 6].map((sequence) => batchItem(sequence)),
      ),
      NOW_US,
    );
    expect(peer.paused).toBe(true);
    bench.commitAll();
    expect(peer.paused).toBe(false);
    stream.halfClose(NOW_US);
    expect(peer.response?.durable).toEqual([{ first: 1, last: 6 }]);
  });

  it('gives a device its share only while others send, and all that it may have when they rest', () => {
    const valve = { tenant: 'acme', device: 'valve' };
    const bench = new Bench({ sharedInFlightBytes: 3000, deviceShareBytesMin: 1500 }, [
      [PUMP, registered()],
      [valve, registered({ deviceId: 6 })],
    ]);
    const header = uploadHeader();
    const batches = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) => batchItem(from + at));
    const greedy = bench.open();
    greedy.stream.message(encodeUploadMessage(header, batches(1, 20)), NOW_US);
    expect(greedy.peer.paused).toBe(false);
    bench.commitAll();
    bench.upload(batches(1, 1), {}, valve);
    greedy.stream.message(encodeUploadMessage(undefined, batches(21, 40)), NOW_US);
    expect(greedy.peer.paused).toBe(true);
    // What is within its share goes on while the greedy one waits.
    const modest = bench.open(valve);
    modest.stream.message(encodeUploadMessage(header, batches(2, 2)), NOW_US);
    expect(modest.peer.paused).toBe(false);
    bench.commitAll();
    expect(greedy.peer.paused).toBe(false);
    for (const _ of [1, 2]) bench.core.tick(NOW_US);
    greedy.stream.message(encodeUploadMessage(undefined, batches(41, 60)), NOW_US);
    expect(greedy.peer.paused).toBe(false);
    bench.commitAll();
    for (const { stream } of [greedy, modest]) stream.halfClose(NOW_US);
    expect(greedy.peer.response?.durable).toEqual([{ first: 1, last: 60 }]);
    expect(bench.core.inFlightBytes).toBe(0);
  });

  it('counts what a batch takes in memory, however little it is on the wire', () => {
    const bench = new Bench();
    const { stream } = bench.open();
    const constant = new Float64Array(60_000).fill(5);
    const body = batchBody([...constant]);
    expect(body.length).toBeLessThan(100);
    stream.message(encodeUploadMessage(uploadHeader(), [item(1, body, { readings: 60_000 })]), NOW_US);
    expect(bench.core.inFlightBytes).toBeGreaterThan(2 * 60_000 * 8);
    bench.commitAll();
    expect(bench.core.inFlightBytes).toBe(0);
  });

  it('keeps no memory for batches that it rejects', () => {
    const bench = new Bench();
    const { stream } = bench.open();
    const body = batchBody([...new Float64Array(60_000).fill(5)]);
    const lying = Array.from({ length: 200 }, (_, at) => item(at + 1, body, { readings: 59_999 }));
    stream.message(encodeUploadMessage(uploadHeader(), [batchItem(900)]), NOW_US);
    const before = process.memoryUsage().arrayBuffers;
    stream.message(encodeUploadMessage(undefined, lying), NOW_US);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
  });

  it('ends a stream of which it rejects so much that the answer grows too long', () => {
    const bench = new Bench({ streamRejectionsMax: 2 });
    const { response } = bench.upload([1, 2, 3, 4].map((sequence) => batchItem(sequence, { checksum: 1 })));
    expect(response?.rejected).toHaveLength(2);
    expect(response?.later[0]).toMatchObject({ range: { first: 3 }, reason: DeferralReason.PRESSURE });
  });

  it('turns history away before what happens now', () => {
    const bench = new Bench({
      inFlightBytesMax: 4000,
      deviceInFlightBytesMax: 4000,
      streamBytesMax: 3000,
      messageBytesMax: 2000,
      itemBytesMax: 1000,
    });
    const busy = bench.open();
    busy.stream.message(
      encodeUploadMessage(
        uploadHeader(),
        [1, 2, 3, 4].map((sequence) => batchItem(sequence)),
      ),
      NOW_US,
    );
    const backfill = bench.open();
    backfill.stream.message(encodeUploadMessage(uploadHeader({ lane: Lane.BACKFILL }), [batchItem(9)]), NOW_US);
    expect(backfill.peer.response?.later[0]).toMatchObject({ reason: DeferralReason.PRESSURE, delayMs: 1000 });
    const live = bench.open();
    live.stream.message(encodeUploadMessage(uploadHeader(), [batchItem(5)]), NOW_US);
    live.stream.halfClose(NOW_US);
    bench.commitAll();
    expect(live.peer.response?.durable).toEqual([{ first: 5, last: 5 }]);
  });

  it('turns new streams away while what follows from the data does not keep up', () => {
    const bench = new Bench();
    bench.busy = true;
    expect(bench.upload([batchItem(1)]).response?.later[0]?.reason).toBe(DeferralReason.PRESSURE);
    bench.busy = false;
    expect(bench.upload([batchItem(1)]).response?.durable).toEqual([{ first: 1, last: 1 }]);
  });

  it('answers a stream early that carries more than it may', () => {
    const bench = new Bench({ streamItemsMax: 2 });
    const { response } = bench.upload([batchItem(1), batchItem(2), batchItem(3)]);
    expect(response?.durable).toEqual([{ first: 1, last: 2 }]);
    expect(response?.later[0]).toMatchObject({ range: { first: 3 }, reason: DeferralReason.PRESSURE });
  });

  it('ends a stream that takes too long, with what it has', () => {
    const bench = new Bench();
    const { stream, peer } = bench.open();
    stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    bench.commitAll();
    bench.core.tick(NOW_US + 60_000_000);
    expect(peer.response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(peer.response?.later[0]?.reason).toBe(DeferralReason.PRESSURE);
  });

  it('at the end answers open streams with what is stored, and new ones at once', () => {
    const bench = new Bench();
    const { stream, peer } = bench.open();
    stream.message(encodeUploadMessage(uploadHeader(), [batchItem(1)]), NOW_US);
    bench.core.stop();
    expect(peer.response).toBeUndefined();
    bench.commitAll();
    expect(peer.response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(peer.response?.later[0]?.reason).toBe(DeferralReason.SHUTDOWN);
    const late = new Peer();
    bench.core.open({ tenant: '', device: 'pump' }, late, NOW_US);
    expect(late.response?.later[0]?.reason).toBe(DeferralReason.SHUTDOWN);
    expect(bench.core.idle).toBe(true);
  });
});
