import { DeferralReason, Lane, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { ModelBuffer, World } from './uplink-world.js';

describe('uploading', () => {
  it('sends what is appended at once and half-closes when the queue is empty', () => {
    const world = new World();
    world.ready();
    world.append(1);
    expect(world.stream).toMatchObject({ finished: true, writes: 1 });
    expect(world.stream?.header?.backlog).toEqual({ first: 1, last: 1 });
    world.append(2);
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    expect(world.buffer.waiting.has(1)).toBe(false);
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([2]);
  });

  it('packs small items into messages and honours back-pressure', () => {
    const world = new World(new ModelBuffer(), { liveStreamBytesFirst: 1e9 });
    for (let i = 0; i < 1000; i++) world.buffer.append(i, 200);
    world.ready();
    expect(world.stream).toMatchObject({ writes: 1, finished: false });
    const inFirst = world.stream!.items.length;
    expect(inFirst * 240).toBeLessThanOrEqual(65_536);
    expect(inFirst).toBeGreaterThan(200);
    for (let i = 0; i < 10 && !world.stream!.finished; i++) {
      const { writes } = world.stream!;
      world.send({ type: 'writable', stream: world.stream!.id });
      expect(world.stream!.writes).toBeLessThanOrEqual(writes + 1);
    }
    expect(world.stream).toMatchObject({ finished: true });
    expect(world.stream!.items).toHaveLength(1000);
    expect(world.stream!.writes).toBeLessThan(7);
  });

  it('keeps a stream within its bytes, and begins the next at the answer', () => {
    const world = new World(new ModelBuffer(), { streamBytesMax: 100_000, liveBacklogBytes: 1e9 });
    for (let i = 0; i < 100; i++) world.buffer.append(i, 4000);
    world.ready();
    let streams = 0;
    while (world.buffer.waiting.size > 0) {
      while (!world.stream!.finished) world.send({ type: 'writable', stream: world.stream!.id });
      expect(world.stream!.items.length * 4040).toBeLessThanOrEqual(100_000);
      world.answerUpload({ durable: [world.sentRange()] });
      streams++;
    }
    expect(streams).toBe(5);
  });

  it('sends little in the first live stream, and more once the link was measured', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 1e9 });
    for (let i = 0; i < 500; i++) world.buffer.append(i, 4000);
    world.ready();
    const sizes: number[] = [];
    while (world.buffer.waiting.size > 0) {
      world.fill();
      sizes.push(world.stream!.items.length * 4040);
      world.nowMs += 10;
      world.answerUpload({ durable: [world.sentRange()] });
    }
    expect(sizes[0]).toBeLessThanOrEqual(65_536);
    expect(sizes[0]).toBeGreaterThan(60_000);
    expect(sizes[1]).toBeGreaterThan(1_000_000);
  });

  it('half-closes a stream whose time is over, whatever is under way', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 1e9, liveStreamBytesFirst: 1e9 });
    for (let i = 0; i < 100; i++) world.buffer.append(i, 4000);
    world.ready();
    expect(world.stream?.finished).toBe(false);
    world.wake();
    expect(world.nowMs).toBe(5000);
    expect(world.stream?.finished).toBe(true);
    expect(world.core.wakeAtMs).toBe(35_000);
  });

  it('may keep a live stream open for what comes next, until its time is over', () => {
    const world = new World(new ModelBuffer(), { lingerMs: 2000 });
    world.ready();
    world.append(1);
    const { id } = world.stream!;
    expect(world.stream).toMatchObject({ finished: false, writes: 1 });
    world.append(2);
    expect(world.stream).toMatchObject({ id, writes: 1 });
    world.send({ type: 'writable', stream: id });
    world.append(3);
    world.send({ type: 'writable', stream: id });
    expect(world.stream!.items.map((item) => item.sequence)).toEqual([1, 2, 3]);
    expect(world.stream).toMatchObject({ id, finished: false });
    world.wake();
    expect(world.nowMs).toBe(2000);
    expect(world.stream).toMatchObject({ id, finished: true });
    expect(world.buffer.waiting.size).toBe(3);
    world.answerUpload({ durable: [{ first: 1, last: 3 }] });
    expect(world.buffer.waiting.size).toBe(0);
  });

  it('keeps no stream open that carries a backlog or only a heartbeat', () => {
    const world = new World(new ModelBuffer(), { lingerMs: 2000, liveBacklogBytes: 1000 });
    for (let i = 0; i < 3; i++) world.buffer.append(i, 1000);
    world.ready();
    const [heartbeat] = world.of(Lane.LIVE);
    const [backlog] = world.of(Lane.BACKFILL);
    expect(heartbeat).toMatchObject({ finished: true, items: [] });
    expect(backlog).toMatchObject({ finished: true, header: { lane: Lane.BACKFILL } });
    world.answerUpload({ durable: [world.sentRange(backlog)] }, backlog);
    world.answerUpload({}, heartbeat);
    world.wake();
    expect(world.stream).toMatchObject({ finished: true, items: [] });
  });

  it('ends a stream that is kept open when somebody waits for the answers, and keeps none open afterwards', () => {
    const world = new World(new ModelBuffer(), { lingerMs: 2000 });
    world.ready();
    world.append(1);
    world.send({ type: 'writable', stream: world.stream!.id });
    expect(world.stream?.finished).toBe(false);
    world.send({ type: 'flush' });
    expect(world.stream?.finished).toBe(true);
    world.append(2);
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    expect(world.stream).toMatchObject({ finished: true, items: [{ sequence: 2 }] });
  });

  it('stays within the lower of both limits', () => {
    const world = new World();
    for (let i = 0; i < 9; i++) world.buffer.append(i, 1000);
    world.send({ type: 'start' });
    world.connect();
    world.answerRegister({
      limits: {
        itemBytesMax: 5000,
        messageBytesMax: 2100,
        streamBytesMax: 4600,
        streamDurationMsMax: 100,
        batchReadingsMax: 0,
      },
    });
    expect(world.core.wakeAtMs).toBe(100);
    expect(world.stream?.items).toHaveLength(2);
    world.send({ type: 'writable', stream: world.stream!.id });
    expect(world.stream).toMatchObject({ finished: true });
    expect(world.stream?.items).toHaveLength(4);
  });
});

describe('verdicts', () => {
  it('acknowledges what is durable, and sends again what the answer does not name', () => {
    const world = new World();
    for (let i = 0; i < 5; i++) world.buffer.append(i);
    world.ready();
    world.answerUpload({
      durable: [
        { first: 1, last: 2 },
        { first: 4, last: 4 },
      ],
    });
    expect([...world.buffer.waiting.keys()]).toEqual([3, 5]);
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([3, 5]);
  });

  it('ends the producer at an early answer', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 1e9, liveStreamBytesFirst: 1e9 });
    for (let i = 0; i < 100; i++) world.buffer.append(i, 4000);
    world.ready();
    const { id } = world.stream!;
    expect(world.stream?.finished).toBe(false);
    world.answerUpload({
      durable: [{ first: 1, last: 3 }],
      later: [{ range: { first: 4, last: 100 }, reason: DeferralReason.PRESSURE, delayMs: 700 }],
    });
    expect(world.cancelled).toContain(id);
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'upload' });
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(700);
    world.wake();
    expect(world.stream?.items[0].sequence).toBe(4);
  });

  it('puts a rejected item aside and goes on', () => {
    const world = new World();
    for (let i = 0; i < 3; i++) world.buffer.append(i);
    world.ready();
    world.answerUpload({
      durable: [{ first: 1, last: 1 }],
      rejected: [{ sequence: 2, reason: RejectionReason.TYPE, detail: 'a string' }],
    });
    expect(world.buffer.quarantined).toEqual([2]);
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([3]);
  });

  it('lets an item of an unknown kind step aside while the others go on', () => {
    const world = new World();
    for (let i = 0; i < 3; i++) world.buffer.append(i);
    world.ready();
    world.answerUpload({
      durable: [
        { first: 1, last: 1 },
        { first: 3, last: 3 },
      ],
      later: [{ range: { first: 2, last: 2 }, reason: DeferralReason.UNKNOWN_ENCODING, delayMs: 20_000 }],
    });
    world.append(4);
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([4]);
    world.answerUpload({ durable: [{ first: 4, last: 4 }] });
    expect(world.core.state.state).toBe('idle');
    for (let i = 0; i < 5 && world.buffer.waiting.has(2); i++) {
      world.wake();
      const items = world.stream!.items.map((item) => item.sequence);
      world.answerUpload(items.length > 0 ? { durable: [{ first: 2, last: 2 }] } : {});
    }
    expect(world.nowMs).toBeGreaterThanOrEqual(20_000);
    expect(world.buffer.waiting.size).toBe(0);
  });

  it('registers again when told so in an answer', () => {
    const world = new World();
    world.buffer.append(1);
    world.ready();
    world.answerUpload({
      later: [{ range: { first: 1, last: 1 }, reason: DeferralReason.REGISTER_AGAIN, delayMs: 0 }],
    });
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'register' });
    world.wake();
    expect(world.register).toBeDefined();
    world.answerRegister();
    expect(world.stream?.items).toHaveLength(1);
  });

  it('leaves a collector that stops', () => {
    const world = new World();
    world.buffer.append(1);
    world.ready();
    world.answerUpload({ later: [{ range: { first: 1, last: 1 }, reason: DeferralReason.SHUTDOWN, delayMs: 900 }] });
    expect(world.link).toBeUndefined();
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(900);
  });

  it('asks less and less often when nothing is taken', () => {
    const world = new World(new ModelBuffer(), {}, 3);
    world.buffer.append(1);
    world.ready();
    for (let i = 0; i < 20; i++) {
      world.answerUpload({});
      world.wake();
    }
    expect(world.nowMs).toBeGreaterThan(60_000);
  });

  it('registers less and less often when even its heartbeat is answered with register again', () => {
    const world = new World(new ModelBuffer(), {}, 3);
    world.ready();
    let registrations = 0;
    // Ten minutes.
    while (world.nowMs < 600_000) {
      if (world.register !== undefined) {
        registrations++;
        world.answerRegister();
      } else if (world.stream !== undefined) {
        world.answerUpload({
          later: [{ range: { first: 1, last: 2 ** 53 - 1 }, reason: DeferralReason.REGISTER_AGAIN, delayMs: 0 }],
        });
      } else world.wake();
    }
    expect(registrations).toBeLessThan(60);
  });

  it('believes no answer about what was not sent', () => {
    const world = new World();
    world.buffer.append(1);
    world.ready();
    world.buffer.append(2);
    world.answerUpload({ durable: [{ first: 1, last: 1_000_000 }] });
    expect([...world.buffer.waiting.keys()]).toEqual([2]);
  });
});
