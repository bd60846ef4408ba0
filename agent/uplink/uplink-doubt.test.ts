import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import type { BufferIdentity } from '../buffer/buffer.js';
import { ModelBuffer, unavailable, World } from './uplink-world.js';

/** A buffer that was moved aside and salvaged, or found to be an image. */
class SuspectBuffer extends ModelBuffer {
  override identity(): BufferIdentity {
    return { ...super.identity(), isSuspect: this.epoch === 1 };
  }
}

function filled(items: number, buffer = new ModelBuffer()): ModelBuffer {
  for (let i = 1; i <= items; i++) buffer.append(i);
  return buffer;
}

describe('doubt', () => {
  it('that the buffer may have kept from before a restart is settled by the first Register, whatever was sent since', () => {
    const world = new World(filled(3));
    world.buffer.inDoubt = [{ first: 1, last: 3 }];
    world.send({ type: 'start' });
    world.connect();
    world.answerRegister();
    expect(world.buffer.inDoubt).toEqual([]);
  });

  it('stays over a connection that was never registered', () => {
    const world = new World(filled(3));
    world.ready();
    world.failStream(unavailable);
    expect(world.stopped).toEqual([{ epoch: 1, ranges: [{ first: 1, last: 3 }] }]);
    world.wake();
    world.connect();
    world.wake();
    expect(world.stopped).toHaveLength(2);
    expect(world.stopped[1].ranges).toEqual([{ first: 1, last: 3 }]);
  });

  it('is told to be none when a session ends with everything answered', () => {
    const world = new World();
    world.ready();
    world.append(1);
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    world.send({ type: 'disconnected', link: world.link! });
    expect(world.stopped).toEqual([{ epoch: 1, ranges: [] }]);
  });

  it('stays for what the collector has and nobody could compare, until its own answer', () => {
    const world = new World(filled(5));
    world.buffer.waiting.delete(3);
    world.buffer.inDoubt = [{ first: 1, last: 5 }];
    world.send({ type: 'start' });
    world.connect();
    const { epoch } = world.buffer.identity();
    world.answerRegister({
      durable: [{ epoch, ranges: [{ first: 1, last: 3 }], highestSequence: 3, highestChecksum: 3 }],
    });
    expect(world.buffer.inDoubt).toEqual([{ first: 1, last: 3 }]);
    expect(world.stream?.items.map(({ sequence }) => sequence)).toEqual([1, 2, 4, 5]);
    world.answerUpload({ durable: [{ first: 1, last: 5 }] });
    expect(world.buffer.waiting.size).toBe(0);
  });

  it('covers what the collector claims when the connection goes before that was compared', () => {
    const world = new World(filled(5));
    world.send({ type: 'start' });
    world.connect();
    const { epoch } = world.buffer.identity();
    const durable = [{ epoch, ranges: [{ first: 1, last: 3 }], highestSequence: 3, highestChecksum: 3 }];
    const { call } = world.register!;
    const effects = world.core.step(
      {
        type: 'registered',
        call,
        response: {
          ...{ fencingToken: 7, limits: undefined, encodings: [], receivedAtUs: 0, sentAtUs: 0 },
          ...{ seriesKnown: 1, segmentsKnown: 1, alertCursor: 0, anchorsKnown: 0, rules: undefined, itemKinds: [] },
          durable,
        },
      },
      0,
    );
    expect(effects.map(({ type }) => type)).toEqual(['read']);
    world.send({ type: 'disconnected', link: world.link! });
    expect(world.stopped).toEqual([{ epoch: 1, ranges: [{ first: 1, last: 3 }] }]);
  });
});

describe('a buffer that was recovered or restored', () => {
  it('gets its verdicts for what was there, then goes on in a new epoch', () => {
    const world = new World(filled(4, new SuspectBuffer()));
    world.send({ type: 'start' });
    world.connect();
    world.append(5);
    world.answerRegister();
    // What came after the opening waits for the new epoch.
    expect(world.stream?.items.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    world.answerUpload({
      durable: [{ first: 1, last: 2 }],
      forked: [{ first: 3, last: 4 }],
    });
    expect(world.epochsOpened).toBe(1);
    world.answerRegister();
    const [moved] = world.of(Lane.BACKFILL);
    expect(moved.header?.epoch[0]).not.toBe(1);
    expect(moved.items.map(({ checksum }) => checksum)).toEqual([3, 4, 5]);
    world.answerUpload({ durable: [world.sentRange(moved)] }, moved);
    expect(world.buffer.waiting.size).toBe(0);
    expect(world.epochsOpened).toBe(1);
  });

  it('opens a new epoch at once when nothing was in it', () => {
    const world = new World(new SuspectBuffer());
    world.send({ type: 'start' });
    world.connect();
    world.answerRegister();
    expect(world.epochsOpened).toBe(1);
    world.answerRegister();
    expect(world.stream?.header?.epoch[0]).not.toBe(1);
  });

  it('is asked for its verdicts again after a broken connection, whatever one row says', () => {
    const world = new World(filled(4, new SuspectBuffer()));
    world.send({ type: 'start' });
    world.connect();
    world.answerRegister();
    world.failStream(unavailable);
    world.wake();
    world.connect();
    const { epoch } = world.buffer.identity();
    world.answerRegister({
      durable: [{ epoch, ranges: [{ first: 1, last: 4 }], highestSequence: 4, highestChecksum: 4 }],
    });
    expect(world.buffer.waiting.size).toBe(4);
    while (world.buffer.waiting.size > 0) world.answerUpload({ durable: [world.sentRange()] });
    expect(world.epochsOpened).toBe(1);
  });
});

describe('a collector that was restored from a backup', () => {
  it('is reported once, with numbers, and nothing stops', () => {
    const world = new World();
    world.ready();
    for (let i = 1; i <= 5; i++) {
      world.append(i);
      world.answerUpload({ durable: [{ first: i, last: i }] });
    }
    const { epoch } = world.buffer.identity();
    const reports = () => world.log.filter((line) => line.includes('does not have any more'));
    for (let round = 0; round < 3; round++) {
      world.send({ type: 'disconnected', link: world.link! });
      world.wake();
      world.connect();
      world.answerRegister({
        durable: [{ epoch, ranges: [{ first: 1, last: 3 }], highestSequence: 3, highestChecksum: 3 }],
      });
      expect(reports()).toHaveLength(1);
      world.answerUpload();
    }
    expect(world.core.counters.itemsForgotten).toBe(2);
    world.append(6);
    world.answerUpload({ durable: [{ first: 6, last: 6 }] });
    expect(world.buffer.waiting.size).toBe(0);
  });

  it('is not suspected when its answer leaves out what is old', () => {
    const world = new World();
    world.ready();
    for (let i = 1; i <= 1500; i++) world.append(i);
    world.answerUpload({ durable: [{ first: 1, last: 1500 }] });
    while (world.stream !== undefined) world.answerUpload({ durable: [world.sentRange()] });
    world.send({ type: 'disconnected', link: world.link! });
    world.wake();
    world.connect();
    const { epoch } = world.buffer.identity();
    const ranges = Array.from({ length: 600 }, (_, i) => ({ first: 301 + 2 * i, last: 301 + 2 * i }));
    ranges[ranges.length - 1].last = 1500;
    world.answerRegister({ durable: [{ epoch, ranges, highestSequence: 1500 }] });
    // Every second one from 302 on is missing, and nothing is said about what comes before.
    expect(world.core.counters.itemsForgotten).toBe(599);
  });
});
