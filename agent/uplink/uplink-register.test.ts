import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { internal, ModelBuffer, small, unavailable, World } from './uplink-world.js';

describe('connecting and registering', () => {
  it('connects, registers, says that it is there, and is idle', () => {
    const world = new World();
    world.send({ type: 'start' });
    expect(world.core.state.state).toBe('connecting');
    world.connect();
    expect(world.core.state.state).toBe('registering');
    expect(world.register?.request.series).toHaveLength(1);
    expect(world.register?.request.epochs[0].epoch).toEqual(world.buffer.identity().epoch);
    world.answerRegister();
    expect(world.stream).toMatchObject({ finished: true, items: [] });
    expect(world.stream?.header).toMatchObject({ fencingToken: 7, lane: Lane.LIVE, backlog: undefined });
    world.answerUpload();
    expect(world.core.state).toMatchObject({ state: 'idle', untilMs: 30_000 });
    world.wake();
    expect(world.stream?.finished).toBe(true);
  });

  it('uploads nothing before Register has answered', () => {
    const world = new World();
    world.buffer.append(1);
    world.send({ type: 'start' });
    world.append(2);
    world.connect();
    world.append(3);
    expect(world.stream).toBeUndefined();
    world.answerRegister();
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([1, 2, 3]);
  });

  it('gives up a connection that never gets ready', () => {
    const world = new World();
    world.send({ type: 'start' });
    world.wake();
    expect(world.nowMs).toBe(20_000);
    expect(world.core.state.state).toBe('waiting');
    expect(world.link).toBeUndefined();
    world.wake();
    expect(world.core.state.state).toBe('connecting');
  });

  it('gives up a Register that is not answered', () => {
    const world = new World();
    world.send({ type: 'start' });
    world.connect();
    world.wake();
    expect(world.cancelled).toHaveLength(1);
    expect(world.core.state.state).toBe('waiting');
  });

  it('waits longer after each failure, at random, and forgets it after an answer', () => {
    const world = new World(new ModelBuffer(), {}, 5);
    world.send({ type: 'start' });
    const waits: number[] = [];
    for (let i = 0; i < 40; i++) {
      world.send({ type: 'connect-failed', link: world.link!, failure: unavailable });
      waits.push(world.core.wakeAtMs - world.nowMs);
      expect(waits[i]).toBeLessThanOrEqual(Math.min(60_000, 500 * 2 ** i));
      world.wake();
    }
    expect(Math.max(...waits)).toBeGreaterThan(40_000);
    world.connect();
    world.answerRegister();
    world.answerUpload();
    world.send({ type: 'stop' });
    world.send({ type: 'start' });
    world.send({ type: 'connect-failed', link: world.link!, failure: unavailable });
    expect(world.core.wakeAtMs - world.nowMs).toBeLessThanOrEqual(500);
  });

  it('waits half a minute at least when the identity is refused, and says what to do', () => {
    const world = new World();
    world.send({ type: 'start' });
    const tls: GrpcOutcome = {
      ...unavailable,
      code: 'tls',
      kind: 'unavailable',
      tls: { kind: 'unknown-ca', by: 'local' },
    };
    const effects = world.core.step({ type: 'connect-failed', link: world.link!, failure: tls }, 0);
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(30_000);
    const log = effects.find((effect) => effect.type === 'log');
    expect(log).toMatchObject({ level: 'error', fields: { remedy: expect.stringContaining('tls.ca') } });
  });

  it('honours the hint of a server', () => {
    const world = new World();
    world.send({ type: 'start' });
    world.connect();
    const failure: GrpcOutcome = { ...unavailable, hint: { kind: 'after', delayMs: 12_000 } };
    const { call } = world.register!;
    world.register = undefined;
    world.send({ type: 'register-failed', call, failure, conflict: false });
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(12_000);
    expect(world.core.wakeAtMs).toBeLessThanOrEqual(12_500);
  });

  it('sends a large catalogue in pages until all of it is known', () => {
    const world = new World(new ModelBuffer(), { cataloguePageBytes: 1000 });
    const series = Array.from({ length: 60 }, (_, i) => ({ ...world.buffer.identity().series[0], id: i + 1 }));
    world.send({ type: 'catalogue', catalogue: { series, segments: world.buffer.identity().segments, anchors: [] } });
    world.send({ type: 'start' });
    world.connect();
    let known = 0;
    for (let pages = 0; known < 60; pages++) {
      expect(pages).toBeLessThan(20);
      expect(world.register?.request.series[0].id).toBe(known + 1);
      known = world.register!.request.series.at(-1)!.id;
      expect(world.stream).toBeUndefined();
      world.answerRegister({ seriesKnown: known });
    }
    expect(world.stream).toBeDefined();
  });

  it('does not ask for ever when the collector takes no catalogue', () => {
    const world = new World();
    world.send({ type: 'start' });
    world.connect();
    world.answerRegister({ seriesKnown: 0 });
    world.answerRegister({ seriesKnown: 0 });
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'register' });
    expect(world.stream).toBeUndefined();
  });

  it('registers new series before anything that was appended after them', () => {
    const world = new World();
    world.ready();
    const { series, segments } = world.buffer.identity();
    world.append(1);
    world.send({
      type: 'catalogue',
      catalogue: { series: [...series, { ...series[0], id: 2, name: 'b' }], segments, anchors: [] },
    });
    expect(world.stream?.finished).toBe(true);
    world.append(2);
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    expect(world.register?.request.series.map(({ id }) => id)).toEqual([2]);
    world.answerRegister({ seriesKnown: 2 });
    expect(world.stream?.items.map((item) => item.sequence)).toEqual([2]);
  });

  it('comes back over some time when a ready connection drops', () => {
    const world = new World();
    world.ready();
    world.send({ type: 'disconnected', link: world.link! });
    expect(world.core.state.state).toBe('waiting');
    expect(world.core.wakeAtMs - world.nowMs).toBeLessThanOrEqual(2000);
    world.wake();
    world.connect();
    expect(world.register?.request.series).toEqual([]);
  });

  it('registers again when told, not in step and not too often', () => {
    const world = new World();
    world.ready();
    world.send({ type: 'register-again' });
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(5000);
    // In the meantime it goes on.
    world.append(1);
    world.answerUpload({ durable: [{ first: 1, last: 1 }] });
    expect(world.buffer.waiting.size).toBe(0);
    world.wake();
    expect(world.nowMs).toBeLessThan(7000);
    expect(world.register).toBeDefined();
  });

  it('ends everything at stop', () => {
    const world = new World();
    world.ready();
    world.append(1);
    world.send({ type: 'stop' });
    expect(world.link).toBeUndefined();
    expect(world.core.state.state).toBe('stopped');
    expect(world.core.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
    world.append(2);
    expect(world.stream).toBeUndefined();
  });
});

describe('an epoch whose series the collector knows by other names', () => {
  it('is left after what the collector has of it was settled, and sends nothing else in it', () => {
    const world = new World();
    for (let content = 1; content <= 3; content++) world.buffer.append(content);
    world.send({ type: 'start' });
    world.connect();
    for (let refused = 0; world.register!.request.series.length > 0; refused++) {
      expect(refused).toBeLessThan(3);
      const { call } = world.register!;
      world.register = undefined;
      world.send({ type: 'register-failed', call, failure: internal, conflict: true });
    }
    const epoch = world.register!.request.epochs[0].epoch;
    const durable = [{ epoch, ranges: [{ first: 1, last: 2 }], highestSequence: 2, highestChecksum: 2 }];
    world.answerRegister({ durable });
    world.fill();
    expect(world.stream!.items.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(world.epochsOpened).toBe(0);
    world.answerUpload({ durable: [{ first: 1, last: 2 }] });
    expect(world.epochsOpened).toBe(1);
    expect([...world.buffer.waiting.values()].map(({ checksum }) => checksum)).toEqual([3]);
  });

  it('is left at once when the collector takes no registration in it at all', () => {
    const world = new World();
    world.buffer.append(1);
    world.send({ type: 'start' });
    world.connect();
    for (let refused = 0; world.epochsOpened === 0; refused++) {
      expect(refused).toBeLessThan(4);
      const { call } = world.register!;
      world.register = undefined;
      world.send({ type: 'register-failed', call, failure: internal, conflict: true });
    }
    expect(world.register!.request.series).toHaveLength(1);
  });
});

describe('a buffer that has begun anew', () => {
  it.each(['idle', 'reading', 'streaming', 'awaiting'])('is registered under its new epoch (%s)', (when) => {
    const world = new World(new ModelBuffer(), small);
    if (when === 'streaming') for (let i = 0; i < 6; i++) world.buffer.append(i, 300);
    world.ready();
    if (when === 'awaiting') world.append(50);
    world.buffer.damage(9);
    for (let i = 0; i < 3; i++) world.append(100 + i, 200);
    if (when === 'streaming') world.send({ type: 'writable', stream: world.stream!.id });
    if (when === 'streaming' || when === 'awaiting') {
      expect(world.stream!.header!.epoch[0]).toBe(1);
      expect(world.stream!.items.every((item) => item.checksum < 100)).toBe(true);
      world.answerUpload({ durable: [world.sentRange()] });
    }
    expect(world.register?.request.epochs[0].epoch[0]).toBe(9);
    expect(world.register?.request.series).toHaveLength(1);
    world.answerRegister();
    // What was there when the new epoch was heard of goes as history, beside what came then.
    const contents: number[] = [];
    for (let streams = 0; world.buffer.waiting.size > 0; streams++) {
      expect(streams).toBeLessThan(10);
      const stream = world.streams.find(({ items }) => items.length > 0) ?? world.stream!;
      world.fill(stream);
      expect(stream.header!.epoch[0]).toBe(9);
      contents.push(...stream.items.map((item) => item.checksum));
      world.answerUpload(stream.items.length > 0 ? { durable: [world.sentRange(stream)] } : {}, stream);
    }
    expect(contents.sort()).toEqual([100, 101, 102]);
  });
});

describe('word of an append', () => {
  it('is passed over when it is of an epoch that was left meanwhile', () => {
    const world = new World();
    world.ready();
    world.send({ type: 'appended', epoch: new Uint8Array(16).fill(99), highestSequence: 500 });
    expect(world.core.state.state).toBe('idle');
    world.append(1);
    expect(world.stream?.items).toHaveLength(1);
  });
});

describe('a failing buffer', () => {
  it('is asked again after a while', () => {
    const world = new World();
    world.ready();
    const before = world.core.state.state;
    expect(before).toBe('idle');
    world.core.step({ type: 'appended', epoch: world.buffer.status().epoch, highestSequence: 1 }, world.nowMs);
    expect(world.core.state.state).toBe('streaming');
    world.send({ type: 'buffer-failed', effect: 'read', message: 'disk' });
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'upload' });
    world.buffer.append(1);
    world.wake();
    expect(world.stream?.items).toHaveLength(1);
  });
});
