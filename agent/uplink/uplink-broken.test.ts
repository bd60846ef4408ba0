import { describe, expect, it } from 'vitest';
import { internal, ModelBuffer, tooLarge, unavailable, World } from './uplink-world.js';

describe('broken streams', () => {
  it('are followed by smaller ones down to a single item, and grow again', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 1e9 });
    for (let i = 0; i < 64; i++) world.buffer.append(i, 1000);
    world.ready();
    const sizes: number[] = [];
    for (let i = 0; i < 12; i++) {
      sizes.push(world.stream!.items.length);
      world.failStream(internal);
      world.wake();
      world.answerRegister();
    }
    expect(sizes[0]).toBeGreaterThan(50);
    expect(sizes.at(-1)).toBe(1);
    for (let i = 1; i < sizes.length; i++) expect(sizes[i]).toBeLessThanOrEqual(sizes[i - 1]);
    while (world.buffer.waiting.size > 0) {
      if (world.stream === undefined) {
        world.wake();
        if (world.register !== undefined) world.answerRegister();
        continue;
      }
      while (!world.stream!.finished) world.send({ type: 'writable', stream: world.stream!.id });
      sizes.push(world.stream!.items.length);
      world.answerUpload(world.stream!.items.length > 0 ? { durable: [world.sentRange()] } : {});
    }
    expect(Math.max(...sizes.slice(12))).toBeGreaterThan(4);
  });

  it('are given up half a minute after the half-close', () => {
    const world = new World();
    world.ready();
    world.append(1);
    world.wake();
    expect(world.nowMs).toBe(30_000);
    expect(world.core.state.state).toBe('waiting');
    expect(world.link).toBeUndefined();
    expect(world.buffer.inDoubt).toEqual([{ first: 1, last: 1 }]);
    world.wake();
    world.connect();
    world.answerRegister();
    expect(world.stream?.items).toHaveLength(1);
  });

  it('are in doubt, which a buffer that is nearly full is told with each message', () => {
    const world = new World();
    world.buffer.quotaBytes = 1000;
    world.ready();
    world.append(1, 600);
    expect(world.buffer.inDoubt).toEqual([{ first: 1, last: 1 }]);
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    expect(world.buffer.inDoubt).toEqual([]);
  });

  it('let a draining collector answer what is under way', () => {
    const world = new World();
    world.ready();
    world.append(1);
    world.send({ type: 'disconnected', link: world.link! });
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    expect(world.buffer.waiting.size).toBe(0);
    expect(world.core.state.state).toBe('waiting');
  });

  it('settle what is in doubt at the next Register, after a look at the own row', () => {
    const world = new World();
    for (let i = 1; i <= 3; i++) world.buffer.append(i);
    world.ready();
    world.failStream(unavailable);
    world.wake();
    world.connect();
    const { epoch } = world.buffer.identity();
    world.answerRegister({
      durable: [{ epoch, ranges: [{ first: 1, last: 2 }], highestSequence: 2, highestChecksum: 2 }],
    });
    expect([...world.buffer.waiting.keys()]).toEqual([3]);
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([3]);
  });

  it('take nothing on trust when there is no row to compare', () => {
    const world = new World();
    for (let i = 1; i <= 3; i++) world.buffer.append(i);
    world.send({ type: 'start' });
    world.connect();
    const { epoch } = world.buffer.identity();
    world.answerRegister({ durable: [{ epoch, ranges: [{ first: 1, last: 2 }], highestSequence: 2 }] });
    expect(world.buffer.waiting.size).toBe(3);
    expect(world.stream?.items).toHaveLength(3);
  });

  it('shrink messages that are too large, and put an item aside that alone is', () => {
    const world = new World();
    world.buffer.append(1, 100);
    world.buffer.append(2, 20_000);
    world.ready();
    for (let i = 0; i < 20 && world.buffer.waiting.size > 0; i++) {
      const items = world.stream!.items;
      if (items.some((item) => item.body.length > 1000)) world.failStream(tooLarge);
      else world.answerUpload({ durable: [world.sentRange()] });
      if (world.core.state.state === 'holding') world.wake();
      if (world.register !== undefined) world.answerRegister();
    }
    expect(world.buffer.quarantined).toEqual([2]);
  });

  it('do not let one poisonous item stop the others', () => {
    const world = new World();
    for (let i = 1; i <= 4; i++) world.buffer.append(i);
    world.ready();
    for (let i = 0; i < 40 && world.buffer.waiting.size > 1; i++) {
      if (world.stream === undefined) world.wake();
      else if (world.stream.items.some((item) => item.sequence === 2)) world.failStream(internal);
      else world.answerUpload(world.stream.items.length > 0 ? { durable: [world.sentRange()] } : {});
      if (world.register !== undefined) world.answerRegister();
    }
    expect([...world.buffer.waiting.keys()]).toEqual([2]);
    expect(world.buffer.quarantined).toEqual([]);
  });

  it('put an item aside at once that is larger than the collector says it takes', () => {
    const world = new World();
    world.buffer.append(1, 5000);
    world.buffer.append(2, 100);
    world.send({ type: 'start' });
    world.connect();
    world.answerRegister({
      limits: {
        itemBytesMax: 1000,
        messageBytesMax: 0,
        streamBytesMax: 0,
        streamDurationMsMax: 0,
        batchReadingsMax: 0,
      },
    });
    expect(world.buffer.quarantined).toEqual([1]);
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([2]);
  });
});
