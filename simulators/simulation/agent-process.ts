import type { BufferIdentity } from '@tributary/agent/buffer/buffer';
import type { BufferCore } from '@tributary/agent/buffer/buffer-core';
import type { Watermark } from '@tributary/agent/runtime/watermark';
import { UplinkCore, type UplinkCoreOptions } from '@tributary/agent/uplink/uplink-core';
import type { UplinkEffect, UplinkEvent } from '@tributary/agent/uplink/uplink-events';
import { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { type UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import type { Chance } from './chance.js';
import type { Checker } from './checker.js';
import { PowerCut } from './faulty-table.js';
import type { DiskLedger, Production } from './ledger.js';
import { isDiskFailure, type SimBuffer } from './sim-buffer.js';
import type { SimCall } from './sim-call.js';
import type { SimClock } from './sim-clock.js';
import type { SimConnection, SimNetwork } from './sim-link.js';
import type { MadeBatch } from './sim-producer.js';
import { hex } from './sim-store.js';
import type { Life, World } from './world.js';

/** What a process runs on. */
export interface Machine {
  name: string;
  /** What its certificate says; a copied card has it too. */
  device: string;
  world: World;
  network: SimNetwork;
  clock: SimClock;
  chance: Chance;
  watermark: Watermark;
  checker: Checker;
  /** Of what has this epoch, in hexadecimal digits. */
  ledgerOf(epoch: string): DiskLedger;
  /** The power goes, because of a write. */
  powerCut(why: string): void;
}

/** What a disk operation takes, flash wear and all. */
const DISK_MS_MIN = 0.05;
const DISK_MS_MAX = 20;

/** The agent deletes what was acknowledged within so long, though nothing is appended. */
const TIDY_MS = 5000;

/** What could not be written when it was due is tried again after this long. */
const FLUSH_RETRY_MS = 1000;

/** As the agent does it: a disk that is not used is looked at so often, and once it takes writes what is in memory. */
const STANDBY_LOOK_MS = 5000;
const LEAVING_LOOK_MS = 50;

/** Hears whether an append was done. */
type Done = (isDone: boolean) => void;

/** The agent's process: the real buffer and uplink, and the host between them, the simulated disk and the link. */
export class AgentProcess {
  readonly life: Life = { alive: true };
  readonly buffer: SimBuffer;
  /** Of the monotonic line that began with this start. */
  readonly segment: number;
  readonly #core: UplinkCore;
  readonly #machine: Machine;
  readonly #calls = new Map<number, SimCall>();
  /** Of streams that were not answered yet. */
  readonly #headers = new Map<number, UploadHeader>();
  #connection: SimConnection | undefined;
  /** The disk's thread carries out one operation after another. */
  #diskFreeMs = 0;
  #identity: BufferIdentity;
  #lastWatermark = { segment: 0, us: 0 };
  #tickAtMs = Number.POSITIVE_INFINITY;
  #willTidy = false;
  #willFlush = false;
  #willLook = false;

  constructor(machine: Machine, buffer: SimBuffer, segment: number, uplink: UplinkCoreOptions) {
    this.#machine = machine;
    this.buffer = buffer;
    this.segment = segment;
    this.#identity = buffer.identity;
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

  /**
   * Appends what is produced, under the eyes of the table's watcher. `done` hears whether it is in the buffer: when the
   * disk has refused it is not, and comes again.
   */
  append(what: string, appending: readonly Production[], act: (buffer: SimBuffer) => void, done: Done): void {
    const run = (buffer: SimBuffer) => {
      const { table } = buffer;
      table.appending = appending;
      try {
        act(buffer);
      } finally {
        table.appending = [];
      }
      const { epoch, highestSequence } = buffer.last.state;
      this.#trace(`${what} up to ${highestSequence}`);
      done(true);
      this.#noticeEpoch();
      return { type: 'appended' as const, epoch, highestSequence };
    };
    this.disk(run, (error) => {
      this.#trace(`cannot append: ${error.message}`);
      this.#noticeEpoch();
      done(false);
    });
  }

  /** These are in the buffer, under these sequences. */
  appended(batches: readonly MadeBatch[], sequences: readonly number[]): void {
    for (const [at, sequence] of sequences.entries()) {
      this.#machine.watermark.appended(this.buffer.identity.epoch, sequence, {
        segment: this.segment,
        us: batches[at].oldestUs,
      });
    }
  }

  /** Nothing waits for the disk: what was produced until now is in the buffer. */
  written(): void {
    this.#machine.watermark.complete({ segment: this.segment, us: this.#machine.clock.monotonicUs() });
  }

  /**
   * One operation of the buffer, when its turn comes. The power may go within it; what it answers reaches the uplink a
   * moment later. `failed` hears of a disk that refuses.
   */
  disk(act: (buffer: SimBuffer) => UplinkEvent | undefined, failed: (error: Error) => void): void {
    const { world, chance } = this.#machine;
    this.#diskFreeMs = Math.max(this.#diskFreeMs, world.nowMs) + chance.magnitude(DISK_MS_MIN, DISK_MS_MAX);
    const run = () => {
      let event: UplinkEvent | undefined;
      try {
        event = act(this.buffer);
      } catch (error) {
        if (error instanceof PowerCut) this.#machine.powerCut(error.message);
        else if (isDiskFailure(error)) failed(error);
        else throw error;
        this.#armStandbyLook();
        return;
      }
      if (event !== undefined) this.#soon(event);
      this.#armFlush();
      this.#armStandbyLook();
    };
    world.schedule(this.#diskFreeMs - world.nowMs, run, this.life);
  }

  /** What durability was deferred of is written when it has waited for the loss window, and again when that has failed. */
  #armFlush(): void {
    const { world } = this.#machine;
    const atMs = this.buffer.flushAtMs;
    if (atMs === undefined || this.#willFlush) return;
    this.#willFlush = true;
    const flush = (buffer: SimBuffer) => {
      buffer.flush(world.nowMs);
      this.#willFlush = false;
      return undefined;
    };
    const begin = () => this.disk(flush, refused);
    const refused = () => {
      world.schedule(FLUSH_RETRY_MS, begin, this.life);
    };
    world.schedule(atMs - world.nowMs, begin, this.life);
  }

  /** While items wait in memory the disk is looked at now and then. */
  #armStandbyLook(): void {
    const { buffer } = this;
    if (!buffer.isOnStandby || this.#willLook) return;
    this.#willLook = true;
    const look = () => {
      this.#willLook = false;
      buffer.leaveStandby();
      if (!buffer.isOnStandby) this.#trace('goes back to its disk');
      this.#noticeEpoch();
      return undefined;
    };
    const begin = () => this.disk(look, () => {});
    this.#machine.world.schedule(buffer.isLeavingStandby ? LEAVING_LOOK_MS : STANDBY_LOOK_MS, begin, this.life);
  }

  #soon(event: UplinkEvent): void {
    const { world, chance } = this.#machine;
    world.schedule(chance.between(0, 1), () => this.#dispatch(event), this.life);
  }

  /** The buffer may have another epoch after it was opened anew. */
  #noticeEpoch(): void {
    const { identity } = this.buffer;
    if (identity === this.#identity) return;
    this.#identity = identity;
    this.#machine.watermark.newEpoch(identity);
    this.#soon({ type: 'epoch-opened', identity });
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
        if (effect.header !== undefined) this.#setWatermark(effect.header, effect.oldestLive);
        const sequences = effect.items.map(({ sequence }) => sequence);
        if (effect.header !== undefined) this.#headers.set(effect.stream, effect.header);
        this.#sent(effect.stream, sequences);
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
        this.#ask(effect, (buffer) => ({
          type: 'status',
          call: effect.call,
          counts: buffer.run((core) => core.status()),
        }));
        return;
      case 'read':
        this.#ask(effect, (buffer) => {
          const { fromSequence, maxBytes, maxItems } = effect;
          const [items, counts] = buffer.run((core) => [core.read(fromSequence, maxBytes, maxItems), core.status()]);
          return { type: 'items', call: effect.call, items, counts };
        });
        return;
      case 'acknowledge':
        this.#inEpoch(effect, effect.epoch, (core) => {
          this.#trace(`may delete ${JSON.stringify(effect.ranges)}`);
          core.acknowledge(effect.ranges);
          this.#tidy();
        });
        return;
      case 'in-doubt':
        this.#inEpoch(effect, effect.epoch, (core) => core.markInDoubt(effect.ranges));
        return;
      case 'stop-sending':
        this.#inEpoch(effect, effect.epoch, (core) => core.stopSending(effect.ranges));
        return;
      case 'quarantine':
        this.#inEpoch(effect, effect.epoch, (core) => {
          this.#trace(`quarantines ${effect.sequence}: ${effect.detail}`);
          core.quarantine(effect.sequence, effect.reason, effect.detail);
        });
        this.#ask(effect, (buffer) => {
          const { epoch, highestSequence } = buffer.run((core) => core.status());
          return { type: 'appended', epoch, highestSequence };
        });
        return;
      case 'open-epoch':
        this.#ask(effect, (buffer) => {
          this.#identity = buffer.openEpoch(this.#machine.chance.bytes(16));
          this.#trace(`opens the epoch ${Buffer.from(this.#identity.epoch).toString('hex').slice(0, 8)}`);
          this.#machine.watermark.newEpoch(this.#identity);
          return { type: 'epoch-opened', identity: this.#identity };
        });
        return;
      case 'identify':
        this.#identity = this.buffer.identity;
        this.#machine.watermark.newEpoch(this.#identity);
        this.#soon({ type: 'epoch-opened', identity: this.#identity });
        return;
    }
  }

  /** What is acknowledged goes with the next transaction, or soon in one of its own. */
  #tidy(): void {
    if (this.#willTidy) return;
    this.#willTidy = true;
    const run = (buffer: SimBuffer) => {
      this.#willTidy = false;
      buffer.run((core) => core.deleteAcknowledged());
      return undefined;
    };
    const refused = () => {
      this.#willTidy = false;
      this.#tidy();
    };
    this.#machine.world.schedule(TIDY_MS, () => this.disk(run, refused), this.life);
  }

  #ask(effect: UplinkEffect, act: (buffer: SimBuffer) => UplinkEvent | undefined): void {
    this.disk(act, ({ message }) => this.#soon({ type: 'buffer-failed', effect: effect.type, message }));
  }

  /** Does nothing when the buffer has another epoch by then. */
  #inEpoch(effect: UplinkEffect, epoch: Uint8Array, act: (core: BufferCore) => void): void {
    this.#ask(effect, (buffer) => {
      buffer.run((core) => {
        if (Buffer.compare(core.state.epoch, epoch) === 0) act(core);
      });
      return undefined;
    });
  }

  #connect(link: number): void {
    const { name, device, network } = this.#machine;
    this.#connection = network.connect(name, device, this.life, {
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
        const { epoch } = request.epochs[0];
        this.#machine.checker.settled(this.#machine.ledgerOf(hex(epoch)), epoch, [
          { first: 1, last: Number.MAX_SAFE_INTEGER },
        ]);
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
        const response = UploadResponse.decode(bytes);
        this.#settled(stream, response);
        this.#dispatch({ type: 'answered', stream, response });
      },
      failed: (failure) => {
        this.#calls.delete(stream);
        this.#dispatch({ type: 'stream-failed', stream, failure });
      },
    });
    if (call !== undefined) this.#calls.set(stream, call);
  }

  #sent(stream: number, sequences: readonly number[]): void {
    const header = this.#headers.get(stream);
    if (header === undefined) return;
    this.#machine.checker.sent(this.#machine.ledgerOf(hex(header.epoch)), header.epoch, header.lane, sequences);
  }

  #settled(stream: number, { durable, rejected, forked, later }: UploadResponse): void {
    const epoch = this.#headers.get(stream)?.epoch;
    if (epoch === undefined) return;
    const alone = rejected.map(({ sequence }) => ({ first: sequence, last: sequence }));
    const deferred = later.flatMap(({ range }) => (range === undefined ? [] : [range]));
    this.#machine.checker.settled(this.#machine.ledgerOf(hex(epoch)), epoch, [
      ...durable,
      ...alone,
      ...forked,
      ...deferred,
    ]);
    this.#headers.delete(stream);
  }

  /** A watermark never goes back; while a new one is not known the old one still holds. */
  #setWatermark(header: UploadHeader, oldestLive: number | undefined): void {
    const now = this.#machine.watermark.at(oldestLive);
    const last = this.#lastWatermark;
    if (now !== undefined && (now.segment !== last.segment || now.us > last.us)) this.#lastWatermark = now;
    header.watermarkSegment = this.#lastWatermark.segment;
    header.watermarkUs = this.#lastWatermark.us;
  }
}
