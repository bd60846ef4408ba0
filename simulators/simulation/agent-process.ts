import type { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { UplinkCore, type UplinkCoreOptions } from '@tributary/agent/uplink/uplink-core';
import type { UplinkEffect, UplinkEvent } from '@tributary/agent/uplink/uplink-events';
import { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { type UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import type { Chance } from './chance.js';
import type { Production } from './ledger.js';
import type { SimCall } from './sim-call.js';
import type { SimClock } from './sim-clock.js';
import type { SimConnection, SimNetwork } from './sim-link.js';
import { PowerCut, type WatchedTable } from './watched-table.js';
import type { Life, World } from './world.js';

/** What a process runs on. */
export interface Machine {
  name: string;
  world: World;
  network: SimNetwork;
  clock: SimClock;
  chance: Chance;
  table: WatchedTable;
  /** The power goes, because of a write. */
  powerCut(why: string): void;
}

/** What a disk operation takes, flash wear and all. */
const DISK_MS_MIN = 0.05;
const DISK_MS_MAX = 20;

/** The agent's process: the real buffer and uplink, and the host between them, the simulated disk and the link. */
export class AgentProcess {
  readonly life: Life = { alive: true };
  readonly buffer: BufferCore;
  /** Of the monotonic line that began with this start. */
  readonly segment: number;
  readonly #core: UplinkCore;
  readonly #machine: Machine;
  readonly #calls = new Map<number, SimCall>();
  #connection: SimConnection | undefined;
  /** The disk's thread carries out one operation after another. */
  #diskFreeMs = 0;
  #tickAtMs = Number.POSITIVE_INFINITY;

  constructor(machine: Machine, buffer: BufferCore, segment: number, uplink: UplinkCoreOptions) {
    this.#machine = machine;
    this.buffer = buffer;
    this.segment = segment;
    this.#core = new UplinkCore(uplink);
  }

  get uplinkState(): string {
    return this.#core.state.state;
  }

  start(): void {
    this.#dispatch({ type: 'start' });
  }

  /** The process is no more. What it has sent still arrives. */
  end(): void {
    this.life.alive = false;
    this.#connection?.close();
  }

  /** Appends what is produced, under the eyes of the table's watcher. */
  append(what: string, appending: readonly Production[], act: (buffer: BufferCore) => void): void {
    this.disk((buffer) => {
      this.#machine.table.appending = appending;
      try {
        act(buffer);
      } finally {
        this.#machine.table.appending = [];
      }
      this.#trace(`${what} up to ${buffer.state.highestSequence}`);
      return { type: 'appended', highestSequence: buffer.state.highestSequence };
    });
  }

  /**
   * One operation of the buffer, when its turn comes. The power may go within it; what it answers reaches the uplink a
   * moment later.
   */
  disk(act: (buffer: BufferCore) => UplinkEvent | undefined): void {
    const { world, chance } = this.#machine;
    this.#diskFreeMs = Math.max(this.#diskFreeMs, world.nowMs) + chance.magnitude(DISK_MS_MIN, DISK_MS_MAX);
    const run = () => {
      let event: UplinkEvent | undefined;
      try {
        event = act(this.buffer);
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
        this.#machine.powerCut(error.message);
        return;
      }
      if (event === undefined) return;
      const answer = event;
      world.schedule(chance.between(0, 1), () => this.#dispatch(answer), this.life);
    };
    world.schedule(this.#diskFreeMs - world.nowMs, run, this.life);
  }

  #trace(what: string): void {
    this.#machine.world.trace(this.#machine.name, what);
  }

  #dispatch(event: UplinkEvent): void {
    for (const effect of this.#core.step(event, this.#machine.world.nowMs)) this.#carryOut(effect);
    this.#arm();
  }

  /** A timer that is early asks again. */
  #arm(): void {
    const { world } = this.#machine;
    const atMs = this.#core.wakeAtMs;
    if (atMs === Number.POSITIVE_INFINITY || this.#tickAtMs <= atMs) return;
    this.#tickAtMs = atMs;
    const tick = () => {
      if (this.#tickAtMs === atMs) this.#tickAtMs = Number.POSITIVE_INFINITY;
      this.#dispatch({ type: 'tick' });
    };
    world.schedule(Math.ceil(atMs - world.nowMs), tick, this.life);
  }

  #carryOut(effect: UplinkEffect): void {
    switch (effect.type) {
      case 'connect':
        this.#connect(effect.link);
        return;
      case 'close':
        this.#connection?.close();
        this.#connection = undefined;
        this.#calls.clear();
        return;
      case 'register':
        this.#register(effect.call, effect.request);
        return;
      case 'cancel':
        this.#calls.get(effect.id)?.cancel();
        this.#calls.delete(effect.id);
        return;
      case 'open':
        this.#open(effect.stream);
        return;
      case 'write': {
        if (effect.header !== undefined) this.#setWatermark(effect.header);
        const sequences = effect.items.map(({ sequence }) => sequence);
        this.#trace(`sends ${sequences[0] ?? 'nothing'} to ${sequences.at(-1) ?? 'nothing'}`);
        this.#calls.get(effect.stream)?.write(encodeUploadMessage(effect.header, effect.items));
        return;
      }
      case 'finish':
        this.#calls.get(effect.stream)?.finish();
        return;
      case 'log':
        this.#trace(`${effect.level}: ${effect.message}`);
        return;
      default:
        this.#useBuffer(effect);
    }
  }

  #useBuffer(effect: UplinkEffect): void {
    switch (effect.type) {
      case 'status':
        this.disk((buffer) => ({ type: 'status', call: effect.call, counts: buffer.status() }));
        return;
      case 'read':
        this.disk((buffer) => {
          const items = buffer.read(effect.fromSequence, effect.maxBytes, effect.maxItems);
          return { type: 'items', call: effect.call, items, counts: buffer.status() };
        });
        return;
      case 'acknowledge':
        this.#inEpoch(effect.epoch, (buffer) => {
          this.#trace(`may delete ${JSON.stringify(effect.ranges)}`);
          buffer.acknowledge(effect.ranges);
          return undefined;
        });
        return;
      case 'in-doubt':
        this.#inEpoch(effect.epoch, (buffer) => {
          buffer.markInDoubt(effect.ranges);
          return undefined;
        });
        return;
      case 'stop-sending':
        this.#inEpoch(effect.epoch, (buffer) => {
          buffer.stopSending(effect.ranges);
          return undefined;
        });
        return;
      case 'quarantine':
        this.#inEpoch(effect.epoch, (buffer) => {
          this.#trace(`quarantines ${effect.sequence}: ${effect.detail}`);
          buffer.quarantine(effect.sequence, effect.reason, effect.detail);
          return { type: 'appended', highestSequence: buffer.state.highestSequence };
        });
        return;
      case 'open-epoch':
        this.disk((buffer) => {
          buffer.openEpoch(this.#machine.chance.bytes(16));
          return { type: 'epoch-opened', identity: buffer.identity('clean') };
        });
        return;
      case 'identify':
        this.disk((buffer) => ({ type: 'epoch-opened', identity: buffer.identity('clean') }));
        return;
    }
  }

  /** Does nothing when the buffer has another epoch by then. */
  #inEpoch(epoch: Uint8Array, act: (buffer: BufferCore) => UplinkEvent | undefined): void {
    this.disk((buffer) => (Buffer.compare(buffer.state.epoch, epoch) === 0 ? act(buffer) : undefined));
  }

  #connect(link: number): void {
    const { name, network } = this.#machine;
    this.#connection = network.connect(name, this.life, {
      connected: () => this.#dispatch({ type: 'connected', link }),
      connectFailed: (failure) => this.#dispatch({ type: 'connect-failed', link, failure }),
      disconnected: () => this.#dispatch({ type: 'disconnected', link }),
    });
  }

  #register(call: number, request: RegisterRequest): void {
    const { clock } = this.#machine;
    request.monotonicUs = clock.monotonicUs();
    request.segment = this.segment;
    this.#connection?.register(RegisterRequest.encode(request).finish(), (reply) => {
      if (reply.reply === 'answer') {
        this.#dispatch({ type: 'registered', call, response: RegisterResponse.decode(reply.bytes) });
      } else {
        const { failure, conflict } = reply;
        this.#dispatch({ type: 'register-failed', call, failure, conflict });
      }
    });
  }

  #open(stream: number): void {
    const call = this.#connection?.upload({
      writable: () => this.#dispatch({ type: 'writable', stream }),
      answered: (bytes) => {
        this.#calls.delete(stream);
        this.#dispatch({ type: 'answered', stream, response: UploadResponse.decode(bytes) });
      },
      failed: (failure) => {
        this.#calls.delete(stream);
        this.#dispatch({ type: 'stream-failed', stream, failure });
      },
    });
    if (call !== undefined) this.#calls.set(stream, call);
  }

  #setWatermark(header: UploadHeader): void {
    header.watermarkSegment = this.segment;
    header.watermarkUs = this.#machine.clock.monotonicUs();
  }
}
