import { seededRandom } from '@tributary/core/clock/random';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { ClockState, type SequenceRange, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { Lane, type UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { expect } from 'vitest';
import type { BufferCounts, BufferIdentity } from '../buffer/buffer.js';
import { UplinkCore } from './uplink-core.js';
import type { UplinkEffect, UplinkEvent } from './uplink-events.js';
import type { UplinkLimits } from './uplink-limits.js';

export const noHint = { kind: 'none' } as const;
export const unavailable: GrpcOutcome = {
  kind: 'unavailable',
  tls: undefined,
  code: 'network',
  message: 'gone',
  hint: noHint,
};
export const internal: GrpcOutcome = { kind: 'internal', code: 'internal', message: 'broken', hint: noHint };
export const tooLarge: GrpcOutcome = {
  kind: 'resource-exhausted',
  code: 'exhausted',
  message: 'Received message larger than max (70000 vs 1000)',
  hint: noHint,
};

export const small: Partial<UplinkLimits> = {
  messageBytesMax: 400,
  streamBytesMax: 1500,
  liveBacklogBytes: 2000,
  readItemsMax: 3,
};

/** Ten lines of a buffer: what waits, by sequence; the checksum names the content. */
export class ModelBuffer {
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
      anchors: [],
      isSuspect: false,
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
      readingsThinned: 0,
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

export interface ModelStream {
  id: number;
  link: number;
  header: UploadHeader | undefined;
  items: Item[];
  writes: number;
  finished: boolean;
  /** As of its first message. */
  oldestLive: number | undefined;
}

/** The agent's surroundings: carries effects out against the buffer, keeps what goes to the collector for the test. */
export class World {
  readonly buffer: ModelBuffer;
  readonly core: UplinkCore;
  nowMs = 0;
  link: number | undefined;
  registered = false;
  register: Extract<UplinkEffect, { type: 'register' }> | undefined;
  /** Without an answer, the oldest first. */
  streams: ModelStream[] = [];
  cancelled: number[] = [];
  log: string[] = [];
  buffered: UplinkEvent[] = [];
  told: { epoch: number; ranges: SequenceRange[] }[] = [];
  /** What each end of a session left without an answer. */
  stopped: { epoch: number; ranges: SequenceRange[] }[] = [];
  /** By epoch and lane, what was sent for the first time, in that order. */
  readonly firstSent = new Map<string, number[]>();
  readonly #sentOnce = new Set<string>();
  /** What the collector grants in each answer that does not say otherwise. */
  backfillBytesPerSecond = 0;
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

  /** The oldest stream without an answer. */
  get stream(): ModelStream | undefined {
    return this.streams.at(0);
  }

  of(lane: Lane): ModelStream[] {
    return this.streams.filter(({ header }) => header?.lane === lane);
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
    const { epoch, highestSequence } = this.buffer.status();
    this.send({ type: 'appended', epoch, highestSequence });
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
        this.streams = [];
        this.register = undefined;
        return;
      case 'register':
        expect(effect.link).toBe(this.link);
        expect(this.register).toBeUndefined();
        // What is under way is settled first.
        expect(this.streams).toEqual([]);
        this.register = effect;
        return;
      case 'cancel':
        this.cancelled.push(effect.id);
        this.streams = this.streams.filter(({ id }) => id !== effect.id);
        if (this.register?.call === effect.id) this.register = undefined;
        return;
      case 'open':
        expect(this.registered).toBe(true);
        expect(effect.link).toBe(this.link);
        this.streams.push({
          id: effect.stream,
          link: effect.link,
          header: undefined,
          items: [],
          writes: 0,
          finished: false,
          oldestLive: undefined,
        });
        return;
      case 'write':
        this.#write(effect);
        return;
      case 'finish': {
        const stream = this.#open(effect.stream);
        expect(stream.finished).toBe(false);
        stream.finished = true;
        return;
      }
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
      case 'stop-sending':
        this.stopped.push({ epoch: effect.epoch[0], ranges: effect.ranges });
        if (effect.epoch[0] === this.buffer.epoch) this.buffer.inDoubt = effect.ranges;
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
    const stream = this.#open(effect.stream);
    expect(stream.finished).toBe(false);
    expect(effect.header !== undefined).toBe(stream.writes === 0);
    if (effect.header !== undefined) {
      stream.header = effect.header;
      stream.oldestLive = effect.oldestLive;
      // Each lane writes one stream at a time, and the live lane waits for each answer.
      const others = this.of(effect.header.lane).filter(({ id }) => id !== stream.id);
      expect(others.every(({ finished }) => finished)).toBe(true);
      if (effect.header.lane === Lane.LIVE) expect(others).toEqual([]);
      if (effect.header.lane === Lane.LIVE && effect.items.length > 0) {
        expect(effect.oldestLive).toBeLessThanOrEqual(effect.items[0].sequence);
      }
    }
    stream.writes++;
    for (const item of effect.items) {
      const twice = this.streams.filter(
        ({ header, items }) =>
          header!.epoch[0] === stream.header!.epoch[0] && items.some(({ sequence }) => sequence === item.sequence),
      );
      expect(twice).toEqual([]);
      expect(item.sequence).toBeGreaterThan(stream.items.at(-1)?.sequence ?? 0);
      stream.items.push(item);
      this.#noteFirst(stream.header!, item.sequence);
      if (this.buffer.quotaBytes > 2 * this.buffer.status().bytesWaiting) continue;
      const marked = this.buffer.inDoubt.some((r) => r.first <= item.sequence && item.sequence <= r.last);
      expect(marked || stream.header!.epoch[0] !== this.buffer.epoch).toBe(true);
    }
  }

  #noteFirst({ epoch, lane }: UploadHeader, sequence: number): void {
    const key = `${epoch[0]}/${sequence}`;
    if (this.#sentOnce.has(key)) return;
    this.#sentOnce.add(key);
    const name = `${epoch[0]} ${Lane[lane]}`;
    const first = this.firstSent.get(name);
    if (first === undefined) this.firstSent.set(name, [sequence]);
    else first.push(sequence);
  }

  #open(id: number): ModelStream {
    const stream = this.streams.find((open) => open.id === id);
    expect(stream).toBeDefined();
    return stream!;
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

  answerUpload(response: Partial<UploadResponse> = {}, stream = this.stream!): void {
    const { id, header } = stream;
    this.streams = this.streams.filter((open) => open !== stream);
    const full = { ...UploadResponse.decode(new Uint8Array(0)), ...response };
    this.told.push({ epoch: header!.epoch[0], ranges: full.durable });
    this.send({ type: 'answered', stream: id, response: full });
  }

  failStream(failure: GrpcOutcome, stream = this.stream!): void {
    this.streams = this.streams.filter((open) => open !== stream);
    this.send({ type: 'stream-failed', stream: stream.id, failure });
  }

  /** Lets the connection take messages until the stream is half-closed. */
  fill(stream = this.stream!): void {
    while (!stream.finished) this.send({ type: 'writable', stream: stream.id });
  }

  /** Connected, registered, and the first heartbeat answered if nothing waits. */
  ready(): void {
    this.send({ type: 'start' });
    this.connect();
    this.answerRegister();
    if (this.buffer.waiting.size === 0) this.answerUpload();
  }

  sentRange(stream = this.stream!): SequenceRange {
    return { first: stream.items[0].sequence, last: stream.items.at(-1)!.sequence };
  }
}
