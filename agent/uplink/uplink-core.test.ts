import { seededRandom } from '@tributary/core/clock/random';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { ClockState, type SequenceRange, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import {
  DeferralReason,
  Lane,
  RejectionReason,
  type UploadHeader,
  UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BufferCounts, BufferIdentity } from '../buffer/buffer.js';
import { UplinkCore } from './uplink-core.js';
import type { UplinkEffect, UplinkEvent } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';

const noHint = { kind: 'none' } as const;
const unavailable: GrpcOutcome = {
  kind: 'unavailable',
  tls: undefined,
  code: 'network',
  message: 'gone',
  hint: noHint,
};
const internal: GrpcOutcome = { kind: 'internal', code: 'internal', message: 'broken', hint: noHint };
const tooLarge: GrpcOutcome = {
  kind: 'resource-exhausted',
  code: 'exhausted',
  message: 'Received message larger than max (70000 vs 1000)',
  hint: noHint,
};

const small: Partial<UplinkLimits> = {
  messageBytesMax: 400,
  streamBytesMax: 1500,
  liveBacklogBytes: 2000,
  readItemsMax: 3,
};

/** Ten lines of a buffer: what waits, by sequence; the checksum names the content. */
class ModelBuffer {
  epoch = 1;
  highest = 0;
  produced = 0;
  waiting = new Map<number, Item>();
  quarantined: number[] = [];
  inDoubt: SequenceRange[] = [];
  quotaBytes = 1e9;

  append(content: number, bytes = 100): void {
    this.produced++;
    const sequence = ++this.highest;
    this.waiting.set(sequence, {
      sequence,
      kind: 1,
      checksum: content,
      readings: 1,
      readingsBefore: sequence - 1,
      body: new Uint8Array(bytes),
    });
  }

  copy(): ModelBuffer {
    const copy = new ModelBuffer();
    Object.assign(copy, { epoch: this.epoch, highest: this.highest, produced: this.produced });
    copy.waiting = new Map(this.waiting);
    return copy;
  }

  identity(): BufferIdentity {
    return {
      epoch: new Uint8Array(16).fill(this.epoch),
      highestSequence: this.highest,
      readingsProduced: this.produced,
      series: [{ id: 1, name: 'a', unit: '', labels: {}, type: ValueType.DOUBLE }],
      segments: [
        { id: 1, bootId: 'b', offsetUs: 0, observedAtUs: 0, uncertaintyUs: 0, state: ClockState.UNSYNCHRONIZED },
      ],
      alertCursor: 0,
      opened: 'clean',
    };
  }

  status(): BufferCounts {
    const items = [...this.waiting.values()];
    return {
      epoch: new Uint8Array(16).fill(this.epoch),
      highestSequence: this.highest,
      oldestSequence: items[0]?.sequence ?? 0,
      itemsWaiting: items.length,
      readingsWaiting: items.length,
      bytesWaiting: items.reduce((sum, item) => sum + item.body.length, 0),
      quotaBytes: this.quotaBytes,
      readingsProduced: this.produced,
      readingsEvicted: 0,
      itemsQuarantined: 0,
    };
  }

  read(from: number, maxBytes: number, maxItems: number): Item[] {
    const items: Item[] = [];
    let bytes = 0;
    for (const item of this.waiting.values()) {
      if (item.sequence < from) continue;
      bytes += item.body.length;
      if (items.length > 0 && (bytes > maxBytes || items.length >= maxItems)) break;
      items.push(item);
    }
    return items;
  }

  acknowledge(ranges: readonly SequenceRange[]): void {
    for (const sequence of [...this.waiting.keys()]) {
      if (ranges.some((range) => range.first <= sequence && sequence <= range.last)) this.waiting.delete(sequence);
    }
  }

  /** Damage: everything is gone, and the buffer begins anew. */
  damage(epoch: number): void {
    this.waiting.clear();
    this.openEpoch(epoch);
  }

  openEpoch(epoch: number): void {
    const items = [...this.waiting.values()];
    this.waiting.clear();
    this.epoch = epoch;
    this.highest = 0;
    for (const item of items) {
      const sequence = ++this.highest;
      this.waiting.set(sequence, { ...item, sequence });
    }
  }
}

interface ModelStream {
  id: number;
  link: number;
  header: UploadHeader | undefined;
  items: Item[];
  writes: number;
  finished: boolean;
}

/** The agent's surroundings: carries effects out against the buffer, keeps what goes to the collector for the test. */
class World {
  readonly buffer: ModelBuffer;
  readonly core: UplinkCore;
  nowMs = 0;
  link: number | undefined;
  registered = false;
  register: Extract<UplinkEffect, { type: 'register' }> | undefined;
  stream: ModelStream | undefined;
  cancelled: number[] = [];
  log: string[] = [];
  buffered: UplinkEvent[] = [];
  told: { epoch: number; ranges: SequenceRange[] }[] = [];
  epochsOpened = 0;
  epochNames = 1;

  constructor(buffer = new ModelBuffer(), limits: Partial<UplinkLimits> = {}, seed = 1) {
    this.buffer = buffer;
    this.core = new UplinkCore({
      random: seededRandom(seed),
      startId: new Uint8Array(16),
      agentVersion: 'test',
      attributes: {},
      identity: buffer.identity(),
      limits,
    });
  }

  send(event: UplinkEvent): void {
    for (const effect of this.core.step(event, this.nowMs)) this.#carryOut(effect);
    const next = this.buffered.shift();
    if (next !== undefined) this.send(next);
  }

  /** Lets the time pass to the next deadline. */
  wake(): void {
    expect(this.core.wakeAtMs).toBeLessThan(Number.POSITIVE_INFINITY);
    this.nowMs = Math.max(this.nowMs, this.core.wakeAtMs);
    this.send({ type: 'tick' });
  }

  append(content: number, bytes?: number): void {
    this.buffer.append(content, bytes);
    this.send({ type: 'appended', highestSequence: this.buffer.highest });
  }

  #carryOut(effect: UplinkEffect): void {
    switch (effect.type) {
      case 'connect':
        expect(this.link).toBeUndefined();
        this.link = effect.link;
        this.registered = false;
        return;
      case 'close':
        expect(effect.link).toBe(this.link);
        this.link = undefined;
        this.registered = false;
        this.stream = undefined;
        this.register = undefined;
        return;
      case 'register':
        expect(effect.link).toBe(this.link);
        expect(this.register).toBeUndefined();
        this.register = effect;
        return;
      case 'cancel':
        this.cancelled.push(effect.id);
        if (this.stream?.id === effect.id) this.stream = undefined;
        if (this.register?.call === effect.id) this.register = undefined;
        return;
      case 'open':
        expect(this.registered).toBe(true);
        expect(effect.link).toBe(this.link);
        expect(this.stream).toBeUndefined();
        this.stream = {
          id: effect.stream,
          link: effect.link,
          header: undefined,
          items: [],
          writes: 0,
          finished: false,
        };
        return;
      case 'write':
        this.#write(effect);
        return;
      case 'finish':
        expect(this.stream?.id).toBe(effect.stream);
        expect(this.stream!.finished).toBe(false);
        this.stream!.finished = true;
        return;
      case 'status':
        this.buffered.push({ type: 'status', call: effect.call, counts: this.buffer.status() });
        return;
      case 'read':
        this.buffered.push({
          type: 'items',
          call: effect.call,
          items: this.buffer.read(effect.fromSequence, effect.maxBytes, effect.maxItems),
          counts: this.buffer.status(),
        });
        return;
      case 'acknowledge':
        if (effect.epoch[0] !== this.buffer.epoch) return;
        for (const range of effect.ranges) {
          for (let sequence = range.first; sequence <= range.last; sequence++) {
            const told = this.told.some(
              ({ epoch, ranges }) =>
                epoch === this.buffer.epoch && ranges.some((r) => r.first <= sequence && sequence <= r.last),
            );
            expect(told).toBe(true);
          }
        }
        this.buffer.acknowledge(effect.ranges);
        return;
      case 'in-doubt':
        if (effect.epoch[0] !== this.buffer.epoch) return;
        this.buffer.inDoubt = effect.ranges;
        return;
      case 'quarantine':
        if (effect.epoch[0] !== this.buffer.epoch) return;
        this.buffer.quarantined.push(effect.sequence);
        this.buffer.waiting.delete(effect.sequence);
        return;
      case 'open-epoch':
        this.epochsOpened++;
        this.epochNames += 1;
        this.buffer.openEpoch(this.epochNames * 16 + (Math.floor(this.nowMs) % 7));
        this.buffered.push({ type: 'epoch-opened', identity: this.buffer.identity() });
        return;
      case 'identify':
        this.buffered.push({ type: 'epoch-opened', identity: this.buffer.identity() });
        return;
      case 'log':
        this.log.push(effect.message);
        return;
    }
  }

  #write(effect: Extract<UplinkEffect, { type: 'write' }>): void {
    const stream = this.stream!;
    expect(stream.id).toBe(effect.stream);
    expect(stream.finished).toBe(false);
    expect(effect.header !== undefined).toBe(stream.writes === 0);
    if (effect.header !== undefined) stream.header = effect.header;
    stream.writes++;
    for (const item of effect.items) {
      expect(item.sequence).toBeGreaterThan(stream.items.at(-1)?.sequence ?? 0);
      stream.items.push(item);
      if (this.buffer.quotaBytes > 2 * this.buffer.status().bytesWaiting) continue;
      const marked = this.buffer.inDoubt.some((r) => r.first <= item.sequence && item.sequence <= r.last);
      expect(marked || stream.header!.epoch[0] !== this.buffer.epoch).toBe(true);
    }
  }

  // The collector's side.

  connect(): void {
    this.send({ type: 'connected', link: this.link! });
  }

  answerRegister(response: Partial<RegisterResponse> = {}): void {
    const { call } = this.register!;
    this.register = undefined;
    this.registered = true;
    const full = { ...RegisterResponse.decode(new Uint8Array(0)), seriesKnown: 1, segmentsKnown: 1, ...response };
    for (const durable of full.durable) this.told.push({ epoch: durable.epoch[0], ranges: durable.ranges });
    this.send({ type: 'registered', call, response: { ...full, fencingToken: 7 } });
  }

  answerUpload(response: Partial<UploadResponse> = {}): void {
    const { id, header } = this.stream!;
    this.stream = undefined;
    const full = { ...UploadResponse.decode(new Uint8Array(0)), ...response };
    this.told.push({ epoch: header!.epoch[0], ranges: full.durable });
    this.send({ type: 'answered', stream: id, response: full });
  }

  failStream(failure: GrpcOutcome): void {
    const { id } = this.stream!;
    this.stream = undefined;
    this.send({ type: 'stream-failed', stream: id, failure });
  }

  /** Connected, registered, and the first heartbeat answered if nothing waits. */
  ready(): void {
    this.send({ type: 'start' });
    this.connect();
    this.answerRegister();
    if (this.buffer.waiting.size === 0) this.answerUpload();
  }

  sentRange(): SequenceRange {
    return { first: this.stream!.items[0].sequence, last: this.stream!.items.at(-1)!.sequence };
  }
}

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
    world.send({ type: 'catalogue', series, segments: world.buffer.identity().segments });
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
    world.send({ type: 'catalogue', series: [...series, { ...series[0], id: 2, name: 'b' }], segments });
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
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'register' });
    expect(world.core.wakeAtMs).toBeGreaterThanOrEqual(5000);
    world.wake();
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
    const world = new World();
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

  it('half-closes a stream whose time is over, whatever is under way', () => {
    const world = new World();
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
    expect(world.stream).toMatchObject({ finished: true, header: { lane: Lane.BACKFILL } });
    world.answerUpload({ durable: [world.sentRange()] });
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

  it('calls a large old backlog backfill, and what is left of it live', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 10_000, messageBytesMax: 4096 });
    for (let i = 0; i < 30; i++) world.buffer.append(i, 1000);
    world.ready();
    const lanes: number[] = [];
    while (world.buffer.waiting.size > 0) {
      while (!world.stream!.finished) world.send({ type: 'writable', stream: world.stream!.id });
      lanes.push(world.stream!.header!.lane);
      world.answerUpload({ durable: [world.sentRange()], backfillBytesPerSecond: 0 });
    }
    expect(lanes).toEqual([Lane.BACKFILL, Lane.LIVE]);
  });

  it('keeps to the budget for backfill', () => {
    const world = new World(new ModelBuffer(), { liveBacklogBytes: 1000, streamBytesMax: 65_536 });
    for (let i = 0; i < 100; i++) world.buffer.append(i, 4000);
    world.ready();
    while (!world.stream!.finished) world.send({ type: 'writable', stream: world.stream!.id });
    const { last } = world.sentRange();
    world.answerUpload({ durable: [{ first: 1, last }], backfillBytesPerSecond: 10_000 });
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'upload' });
    expect(world.core.wakeAtMs).toBeGreaterThan(5500);
    world.wake();
    expect(world.stream?.header?.lane).toBe(Lane.BACKFILL);
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
    const world = new World();
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

describe('a buffer that has begun anew', () => {
  it.each(['idle', 'reading', 'streaming', 'awaiting'])('is registered under its new epoch (%s)', (when) => {
    const world = new World(new ModelBuffer(), small);
    if (when === 'streaming') for (let i = 0; i < 9; i++) world.buffer.append(i, 300);
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
    while (!world.stream!.finished) world.send({ type: 'writable', stream: world.stream!.id });
    expect(world.stream!.header!.epoch[0]).toBe(9);
    expect(world.stream!.items.map((item) => item.checksum)).toEqual([100, 101, 102]);
    world.answerUpload({ durable: [world.sentRange()] });
    expect(world.buffer.waiting.size).toBe(0);
  });
});

describe('a failing buffer', () => {
  it('is asked again after a while', () => {
    const world = new World();
    world.ready();
    const before = world.core.state.state;
    expect(before).toBe('idle');
    world.core.step({ type: 'appended', highestSequence: 1 }, world.nowMs);
    expect(world.core.state.state).toBe('reading');
    world.send({ type: 'buffer-failed', effect: 'read', message: 'disk' });
    expect(world.core.state).toMatchObject({ state: 'holding', next: 'upload' });
    world.buffer.append(1);
    world.wake();
    expect(world.stream?.items).toHaveLength(1);
  });
});

/** Stores what comes, by epoch and sequence, as the contract says; content is the checksum. */
class HonestCollector {
  readonly stored = new Map<string, number>();

  upload(epoch: number, items: readonly Item[]): { durable: SequenceRange[]; forked: SequenceRange[] } {
    const durable: SequenceRange[] = [];
    const forked: SequenceRange[] = [];
    for (const item of items) {
      const key = `${epoch}/${item.sequence}`;
      const known = this.stored.get(key);
      const range = { first: item.sequence, last: item.sequence };
      if (known === undefined) this.stored.set(key, item.checksum);
      (known === undefined || known === item.checksum ? durable : forked).push(range);
    }
    return { durable, forked };
  }

  durable(epoch: number): RegisterResponse['durable'] {
    const sequences: number[] = [];
    for (const key of this.stored.keys()) {
      const [of, sequence] = key.split('/').map(Number);
      if (of === epoch) sequences.push(sequence);
    }
    if (sequences.length === 0) return [];
    const highestSequence = Math.max(...sequences);
    return [
      {
        epoch: new Uint8Array(16).fill(epoch),
        ranges: sequences.sort((a, b) => a - b).map((sequence) => ({ first: sequence, last: sequence })),
        highestSequence,
        highestChecksum: this.stored.get(`${epoch}/${highestSequence}`)!,
      },
    ];
  }
}

/** Lets an honest collector answer, with `chance` deciding what goes wrong; 1 is a day without trouble. */
function live(world: World, collector: HonestCollector, chance: () => number, steps: number): void {
  for (let i = 0; i < steps; i++) {
    if (world.buffer.waiting.size === 0 && world.core.state.state === 'idle') return;
    const dice = chance();
    const { stream } = world;
    if (world.core.state.state === 'connecting') {
      if (dice < 0.1) world.send({ type: 'connect-failed', link: world.link!, failure: unavailable });
      else if (dice < 0.15) world.wake();
      else world.connect();
    } else if (world.register !== undefined) {
      if (dice < 0.1) {
        const { call } = world.register;
        world.register = undefined;
        world.send({ type: 'register-failed', call, failure: unavailable, conflict: false });
      } else world.answerRegister({ durable: collector.durable(world.buffer.epoch) });
    } else if (stream !== undefined && !stream.finished && dice >= 0.1) {
      world.send({ type: 'writable', stream: stream.id });
    } else if (stream !== undefined) {
      const part = dice < 0.3 ? stream.items.slice(0, Math.floor(stream.items.length * chance())) : stream.items;
      const verdicts = collector.upload(stream.header!.epoch[0], part);
      if (dice < 0.2) world.failStream(dice < 0.1 ? internal : unavailable);
      else if (dice < 0.25) world.wake();
      else if (dice < 0.27) world.send({ type: 'disconnected', link: world.link! });
      else world.answerUpload(verdicts);
    } else if (world.core.wakeAtMs < Number.POSITIVE_INFINITY) world.wake();
  }
}

describe('whatever happens', () => {
  it('everything is stored once in the end, and only what is durable is deleted', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 60 }), (seed, items) => {
        const random = seededRandom(seed);
        const world = new World(new ModelBuffer(), { ...small, lingerMs: seed % 2 === 0 ? 0 : 40 }, seed);
        const collector = new HonestCollector();
        world.send({ type: 'start' });
        for (let i = 0; i < items; i++) {
          world.append(i, 1 + Math.floor(random() * 300));
          live(world, collector, random, Math.floor(random() * 6));
        }
        world.send({ type: 'flush' });
        live(world, collector, () => 1, 600);
        expect(world.buffer.waiting.size).toBe(0);
        expect([...collector.stored.values()].sort((a, b) => a - b)).toEqual(
          Array.from({ length: items }, (_, i) => i),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('a restored buffer neither loses an item nor has one stored twice', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed);
        const collector = new HonestCollector();
        const first = new World(new ModelBuffer(), small, seed);
        let content = 0;
        const produce = (world: World, count: number) => {
          for (let i = 0; i < count; i++) {
            world.append(content++, 1 + Math.floor(random() * 300));
            live(world, collector, random, Math.floor(random() * 5));
          }
        };
        first.send({ type: 'start' });
        produce(first, Math.floor(random() * 20));
        const image = first.buffer.copy();
        produce(first, Math.floor(random() * 20));
        live(first, collector, () => 1, 400);
        expect(first.buffer.waiting.size).toBe(0);
        const second = new World(image, small, seed + 1);
        second.epochNames = 5;
        second.send({ type: 'start' });
        produce(second, Math.floor(random() * 20));
        live(second, collector, () => 1, 600);
        expect(second.buffer.waiting.size).toBe(0);
        const stored = [...collector.stored.values()].sort((a, b) => a - b);
        expect(stored).toEqual(Array.from({ length: content }, (_, i) => i));
      }),
      { numRuns: 60 },
    );
  });

  it('no order of events breaks a promise, not even one that nobody would send', () => {
    const id = fc.integer({ min: 0, max: 40 });
    const response = fc.record({
      durable: fc.array(fc.record({ first: fc.integer({ min: 0, max: 20 }), last: fc.integer({ min: 0, max: 30 }) })),
      rejected: fc.array(fc.record({ sequence: id, reason: fc.constant(RejectionReason.TYPE), detail: fc.string() })),
      later: fc.array(
        fc.record({
          range: fc.record({ first: id, last: id }),
          reason: fc.integer({ min: -1, max: 8 }),
          delayMs: fc.nat(),
        }),
      ),
      forked: fc.array(fc.record({ first: id, last: id })),
      backfillBytesPerSecond: fc.nat(),
    });
    const action = fc.oneof(
      fc.record({ do: fc.constant('append' as const) }),
      fc.record({ do: fc.constant('wake' as const) }),
      fc.record({ do: fc.constant('connect' as const) }),
      fc.record({ do: fc.constant('registered' as const), known: fc.integer({ min: 0, max: 2 }), highest: id }),
      fc.record({ do: fc.constant('answer' as const), response }),
      fc.record({
        do: fc.constant('event' as const),
        event: fc.oneof(
          fc.record({ type: fc.constant('connected' as const), link: id }),
          fc.record({ type: fc.constant('disconnected' as const), link: id }),
          fc.record({ type: fc.constant('connect-failed' as const), link: id, failure: fc.constant(unavailable) }),
          fc.record({ type: fc.constant('writable' as const), stream: id }),
          fc.record({
            type: fc.constant('stream-failed' as const),
            stream: id,
            failure: fc.constantFrom(unavailable, internal, tooLarge),
          }),
          fc.record({
            type: fc.constantFrom('tick' as const, 'stop' as const, 'start' as const, 'register-again' as const),
          }),
          fc.record({
            type: fc.constant('buffer-failed' as const),
            effect: fc.constantFrom('read' as const, 'status' as const, 'open-epoch' as const),
            message: fc.constant('disk'),
          }),
        ),
      }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), fc.integer(), (actions, seed) => {
        const world = new World(new ModelBuffer(), small, seed);
        world.send({ type: 'start' });
        let content = 0;
        for (const next of actions) {
          world.nowMs += 100;
          if (next.do === 'append') world.append(content++, 200);
          else if (next.do === 'wake' && world.core.wakeAtMs < Number.POSITIVE_INFINITY) world.wake();
          else if (next.do === 'connect' && world.core.state.state === 'connecting') world.connect();
          else if (next.do === 'registered' && world.register !== undefined) {
            const { epoch } = world.buffer.identity();
            const ranges = [{ first: 1, last: next.highest }];
            const durable = [{ epoch, ranges, highestSequence: next.highest, highestChecksum: next.highest }];
            world.answerRegister({ seriesKnown: next.known, durable });
          } else if (next.do === 'answer' && world.stream !== undefined) world.answerUpload(next.response);
          else if (next.do === 'event') {
            if (next.event.type === 'stream-failed' && next.event.stream === world.stream?.id) world.stream = undefined;
            world.send(next.event);
          }
        }
        // The checks are in World: order, back-pressure, one stream, registered first, acknowledged only what was told.
        if (world.stream !== undefined) {
          const bytes = world.stream.items.reduce((sum, item) => sum + item.body.length, 0);
          expect(bytes).toBeLessThanOrEqual(1500);
        }
      }),
      { numRuns: 500 },
    );
  });
});
