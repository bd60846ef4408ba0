import { DeferralReason, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { internal, ModelBuffer, unavailable, World } from './uplink-world.js';

/** A world with a backlog of items of 1,000 bytes, connected and registered, the first heartbeat answered. */
function behind(items: number, limits: ConstructorParameters<typeof World>[1] = {}): World {
  const world = new World(new ModelBuffer(), { liveBacklogBytes: 10_000, ...limits });
  for (let i = 1; i <= items; i++) world.buffer.append(i, 1000);
  world.ready();
  world.answerUpload({}, world.of(Lane.LIVE)[0]);
  return world;
}

/** Answers the oldest backfill stream a moment later. */
function drainOne(world: World, tookMs = 10, response = {}): void {
  const [stream] = world.of(Lane.BACKFILL);
  world.fill(stream);
  world.nowMs += tookMs;
  world.answerUpload({ durable: [world.sentRange(stream)], ...response }, stream);
}

describe('two lanes', () => {
  it('send a long backlog beside what happens now, which goes at once', () => {
    const world = behind(100);
    expect(world.of(Lane.BACKFILL)[0].items[0].sequence).toBe(1);
    world.append(101);
    const [live] = world.of(Lane.LIVE);
    expect(live.items.map(({ sequence }) => sequence)).toEqual([101]);
    expect(live.header?.backlog).toEqual({ first: 1, last: 101 });
    expect(live.oldestLive).toBe(101);
    world.answerUpload({ durable: [{ first: 101, last: 101 }] }, live);
    expect(world.buffer.waiting.has(101)).toBe(false);
    expect(world.buffer.waiting.has(1)).toBe(true);
  });

  it('send each item in one lane only, and are one again when the backlog is settled', () => {
    const world = behind(100);
    for (let content = 101; world.of(Lane.BACKFILL).length > 0; content++) {
      expect(content).toBeLessThan(300);
      world.append(content);
      const [live] = world.of(Lane.LIVE);
      expect(live.items.map(({ checksum }) => checksum)).toEqual([content]);
      drainOne(world);
      world.answerUpload({ durable: [world.sentRange(live)] }, live);
    }
    expect(world.buffer.waiting.size).toBe(0);
    expect(world.log).toContain('the backlog has been sent');
    for (let i = 0; i < 5; i++) world.buffer.append(900 + i, 1000);
    world.append(905);
    expect(world.of(Lane.BACKFILL)).toEqual([]);
    expect(world.of(Lane.LIVE)[0].items).toHaveLength(6);
  });

  it('send what has moved to a new epoch as history, and what comes then as live', () => {
    const world = new World();
    for (let i = 1; i <= 3; i++) world.buffer.append(i, 100);
    world.ready();
    world.answerUpload({ durable: [{ first: 1, last: 1 }], forked: [{ first: 2, last: 3 }] });
    expect(world.epochsOpened).toBe(1);
    world.answerRegister();
    world.answerUpload({}, world.of(Lane.LIVE)[0]);
    world.append(4);
    const contents = (lane: Lane) => world.of(lane).flatMap(({ items }) => items.map(({ checksum }) => checksum));
    expect(contents(Lane.BACKFILL)).toEqual([2, 3]);
    expect(contents(Lane.LIVE)).toEqual([4]);
  });

  it('keep a short backlog in order in the live lane', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 10_000 });
    for (let i = 1; i <= 9; i++) world.buffer.append(i, 1000);
    world.ready();
    expect(world.of(Lane.LIVE)[0].items).toHaveLength(9);
    expect(world.of(Lane.LIVE)[0].oldestLive).toBe(1);
  });

  it('let the live lane go on with what is young when it has fallen behind itself', () => {
    const world = behind(100);
    for (let second = 0; second < 60; second++) {
      world.nowMs += 1000;
      world.append(1000 + second, 1000);
      if (second === 0) {
        const [live] = world.of(Lane.LIVE);
        const later = [{ range: { first: 101, last: 101 }, reason: DeferralReason.STORE, delayMs: 59_000 }];
        world.answerUpload({ later }, live);
      }
      for (const stream of world.of(Lane.BACKFILL)) {
        world.fill(stream);
        world.answerUpload({ durable: [world.sentRange(stream)] }, stream);
      }
    }
    while (world.of(Lane.LIVE).length === 0) world.wake();
    const first = world.of(Lane.LIVE)[0].items[0].sequence;
    // Half a minute is live; what is older went to the backlog.
    expect(first).toBeGreaterThan(125);
    expect(first).toBeLessThan(135);
    expect(world.of(Lane.LIVE)[0].oldestLive).toBe(first);
    expect(world.of(Lane.BACKFILL)[0].items[0].sequence).toBeLessThan(101);
  });

  it('wait each for itself when the collector is pressed, and both when it stops', () => {
    const world = behind(100);
    const [backfill] = world.of(Lane.BACKFILL);
    const pressure = [{ range: { first: 1, last: 100 }, reason: DeferralReason.PRESSURE, delayMs: 60_000 }];
    for (const stream of world.of(Lane.BACKFILL)) world.answerUpload({ later: pressure }, stream);
    expect(world.of(Lane.BACKFILL)).toEqual([]);
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'upload' });
    world.append(101);
    const [live] = world.of(Lane.LIVE);
    expect(live.items).toHaveLength(1);
    world.answerUpload({ durable: [world.sentRange(live)] }, live);
    while (world.of(Lane.BACKFILL).length === 0) {
      if (world.of(Lane.LIVE).length > 0) world.answerUpload({}, world.of(Lane.LIVE)[0]);
      else world.wake();
    }
    expect(world.nowMs).toBeGreaterThanOrEqual(60_000);
    expect(world.of(Lane.BACKFILL)[0].items[0].sequence).toBe(backfill.items[0].sequence);
    const stops = [{ range: { first: 1, last: 100 }, reason: DeferralReason.SHUTDOWN, delayMs: 900 }];
    while (world.streams.length > 0) world.answerUpload({ later: stops });
    expect(world.link).toBeUndefined();
    expect(world.core.wakeAtMs - world.nowMs).toBeGreaterThanOrEqual(900);
  });

  it('hold backfill back with live when the collector takes nothing live', () => {
    const world = behind(100);
    world.append(101);
    const [live] = world.of(Lane.LIVE);
    world.answerUpload(
      { later: [{ range: { first: 101, last: 101 }, reason: DeferralReason.PRESSURE, delayMs: 5000 }] },
      live,
    );
    while (world.of(Lane.BACKFILL).length > 0) drainOne(world, 1);
    expect(world.core.state).toMatchObject({ state: 'holding' });
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(5000);
  });

  it('keep their split over a new connection', () => {
    const world = behind(30, { streamBytesMax: 6000, messageBytesMax: 6000 });
    world.append(31, 5000);
    world.answerUpload({ durable: [{ first: 31, last: 31 }] }, world.of(Lane.LIVE)[0]);
    while (world.buffer.waiting.size > 5) drainOne(world);
    world.append(32, 500);
    world.failStream(unavailable, world.streams[0]);
    expect(world.link).toBeUndefined();
    world.wake();
    world.connect();
    world.answerRegister();
    // What is left of the backlog is little, and older than what went live before it.
    expect(world.of(Lane.LIVE)[0].items.map(({ sequence }) => sequence)).toEqual([32]);
    expect(world.of(Lane.BACKFILL)[0].items[0].sequence).toBeLessThan(31);
  });
});

describe('the budget for backfill', () => {
  it('is kept over many streams, and live does not count', () => {
    const world = behind(200);
    const bytesPerSecond = 10_000;
    let sent = 0;
    const began = world.nowMs;
    while (world.buffer.waiting.size > 0 && world.nowMs - began < 60_000) {
      if (world.streams.length === 0) world.wake();
      for (const stream of [...world.streams]) {
        world.fill(stream);
        if (stream.items.length > 0) sent += stream.items.length * 1000;
        const durable = stream.items.length > 0 ? [world.sentRange(stream)] : [];
        world.answerUpload({ durable, backfillBytesPerSecond: bytesPerSecond }, stream);
      }
    }
    expect(sent).toBe(200_000);
    expect(world.nowMs - began).toBeGreaterThan(13_000);
    expect(world.nowMs - began).toBeLessThan(22_000);
  });
});

describe('streams side by side', () => {
  it('begin the next while the one before is answered', () => {
    const world = behind(200);
    world.fill(world.of(Lane.BACKFILL)[0]);
    const [first, second] = world.of(Lane.BACKFILL);
    expect(first.finished).toBe(true);
    expect(second.items[0].sequence).toBe(world.sentRange(first).last + 1);
  });

  it('are one window each on a long way, as many as the pipe holds', () => {
    // 300 ms, and a link that takes what it is given.
    const world = behind(4000, { registerMs: 30_000 });
    world.failStream(unavailable, world.of(Lane.BACKFILL)[0]);
    world.wake();
    world.connect();
    world.nowMs += 300;
    world.answerRegister();
    let most = 0;
    for (let round = 0; world.buffer.waiting.size > 500; round++) {
      expect(round).toBeLessThan(100);
      const streams = world.of(Lane.BACKFILL);
      for (const stream of streams) world.fill(stream);
      most = Math.max(most, world.of(Lane.BACKFILL).length);
      world.nowMs += 300;
      for (const stream of world.of(Lane.BACKFILL)) {
        if (!stream.finished) continue;
        expect(stream.items.length * 1040).toBeLessThanOrEqual(64_000);
        world.answerUpload({ durable: [world.sentRange(stream)] }, stream);
      }
      for (const stream of world.of(Lane.LIVE)) world.answerUpload({}, stream);
    }
    expect(most).toBe(8);
  });

  it('queue little in front of a thin link, and keep it busy', () => {
    // 8,000 bytes a second: what is written waits for its turn, the answer comes 300 ms after the last byte.
    const world = behind(400);
    const queue: { id: number; atMs: number }[] = [];
    let freeMs = world.nowMs;
    const began = world.nowMs;
    const seen = new Set<number>();
    let busyMs = 0;
    let longestMs = 0;
    while (world.buffer.waiting.size > 0) {
      for (const stream of world.streams) {
        world.fill(stream);
      }
      for (const stream of world.streams) {
        if (seen.has(stream.id)) continue;
        seen.add(stream.id);
        const tookMs = (stream.items.length * 1040 + 300) / 8;
        freeMs = Math.max(freeMs, world.nowMs) + tookMs;
        busyMs += tookMs;
        if (seen.size > 10) longestMs = Math.max(longestMs, freeMs - world.nowMs);
        queue.push({ id: stream.id, atMs: freeMs + 300 });
      }
      const next = queue.shift();
      if (next === undefined) break;
      world.nowMs = Math.max(world.nowMs, next.atMs);
      const stream = world.streams.find(({ id }) => id === next.id)!;
      world.answerUpload(stream.items.length > 0 ? { durable: [world.sentRange(stream)] } : {}, stream);
    }
    expect(world.buffer.waiting.size).toBe(0);
    expect(busyMs / (world.nowMs - began)).toBeGreaterThan(0.9);
    expect(longestMs).toBeLessThan(4500);
  });

  it('are all in doubt when the connection goes, and are told so', () => {
    const world = behind(200);
    world.fill(world.of(Lane.BACKFILL)[0]);
    world.append(201);
    const last = Math.max(...world.of(Lane.BACKFILL).flatMap(({ items }) => items.map(({ sequence }) => sequence)));
    world.failStream(unavailable, world.of(Lane.BACKFILL)[1]);
    expect(world.stopped).toEqual([
      {
        epoch: 1,
        ranges: [
          { first: 1, last },
          { first: 201, last: 201 },
        ],
      },
    ]);
  });

  it('are all answered before the next Register when one of them breaks and the connection holds', () => {
    const world = behind(200);
    world.fill(world.of(Lane.BACKFILL)[0]);
    const [first, second] = world.of(Lane.BACKFILL);
    world.failStream(internal, second);
    expect(world.register).toBeUndefined();
    world.answerUpload({ durable: [world.sentRange(first)] }, first);
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'register' });
    world.wake();
    world.answerRegister();
    const again = world.of(Lane.BACKFILL)[0];
    expect(again.items[0].sequence).toBe(second.items[0].sequence);
    expect(again.items.length).toBeLessThan(second.items.length);
  });
});
