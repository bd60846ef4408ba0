import type { CommitPort } from '@tributary/collector/ingest/group-commit';
import { IngestCore } from '@tributary/collector/ingest/ingest-core';
import type { IngestLimits } from '@tributary/collector/ingest/ingest-limits';
import { type RegisterDependencies, register } from '@tributary/collector/ingest/register';
import type { DerivedPipeline } from '@tributary/collector/rules/pipeline';
import type { DeviceCommit, DeviceName, Store } from '@tributary/collector/store/store';
import { StoreError } from '@tributary/collector/store/store-error';
import { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { Lane, type UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import { decodeUploadMessage } from '@tributary/proto/items/upload-wire';
import type { Chance } from './chance.js';
import type { Checker } from './checker.js';
import { type ServerStream, type StreamPeer, unavailable } from './sim-call.js';
import type { SimClock } from './sim-clock.js';
import { startDerived } from './sim-derived.js';
import { simFollower } from './sim-follower.js';
import type { Listener, RegisterReply, SimNetwork } from './sim-link.js';
import { bodyKey } from './sim-producer.js';
import { hex, type SimStore } from './sim-store.js';
import { Violation } from './violation.js';
import type { Life, World } from './world.js';

export interface SimCollectorOptions {
  /** Counts from 0: of its address. */
  index: number;
  /** What all collectors of a store have followed. */
  followed: Set<string>;
  /** Makes the store for what follows from committed data, where rules are evaluated in this run. */
  rulesStore: ((fault: () => StoreError | undefined) => Store) | undefined;
  world: World;
  network: SimNetwork;
  clock: SimClock;
  chance: Chance;
  checker: Checker;
  store: SimStore;
  limits: IngestLimits;
  /** How long a commit usually takes. */
  usualCommitMs: { min: number; max: number };
  /** Bodies that the store fails with, as a constraint would. */
  storePoison: ReadonlySet<string>;
}

/** No simulation has more devices. */
export const DEVICES_MAX = 4;

/** A device comes back two seconds after a connection has ended; when each fails at once, that is once a second or so. */
const REGISTRATIONS_A_MINUTE_MAX = 60;

/** The collector looks at its streams so often. */
const TICK_MS = 2000;

/** A message is read, an answer written. */
const WORK_MS_MAX = 2;

interface Process {
  life: Life;
  core: IngestCore;
  listener: Listener;
  derived: DerivedPipeline | undefined;
}

/** The collector: a store that stays, and a process with the real ingest that is killed and started again. */
export class SimCollector {
  commits = 0;
  /** How the store fails at the moment. */
  storeFault: 'full' | 'io' | undefined;
  /** How long a commit takes at the moment, if not as usual. */
  commitMs: { min: number; max: number } | undefined;
  /** The process ends by itself after so many more steps of a commit. */
  stepsToCrash = Number.POSITIVE_INFINITY;
  /** Told of each crash and each orderly end. */
  onEnd: (chance: Chance) => void = () => {};
  readonly name: string;
  #process: Process | undefined;
  /** By device and start: a copied card is another start of the same device. */
  readonly #registeredMs = new Map<string, Map<string, number[]>>();
  readonly #options: SimCollectorOptions;

  constructor(options: SimCollectorOptions) {
    this.#options = options;
    this.name = `collector-${options.index + 1}`;
    options.network.listeners[options.index] = undefined;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  /** What evaluates rules, in a run in which they are. */
  get derived(): DerivedPipeline | undefined {
    return this.#process?.derived;
  }

  /** What ingest says that it holds. */
  get inFlightBytes(): number {
    return this.#process?.core.inFlightBytes ?? 0;
  }

  start(): void {
    const { world, network, limits, chance, index, followed } = this.#options;
    if (this.#process !== undefined) return;
    const life: Life = { alive: true };
    /** Event times of live batches that are with the store, by device, epoch and sequence. */
    const oldestLive = new Map<string, number>();
    const derived = this.#startRules(life);
    const core: IngestCore = new IngestCore({
      limits,
      random: chance.random,
      port: this.#port(life, () => core, oldestLive),
      follower: simFollower({
        world,
        followed,
        oldestLive,
        derived,
        keepsWatermarks: limits.devicesMax >= DEVICES_MAX,
      }),
    });
    const listener = this.#listener(life, core, derived);
    this.#process = { life, core, listener, derived };
    network.listeners[index] = listener;
    world.trace(this.name, 'starts');
    this.#tick(life, core);
  }

  /** The process is killed, or its machine loses power: only what the store has committed stays. */
  crash(why: string): void {
    if (this.#process === undefined) return;
    const { world, network, chance, store, index } = this.#options;
    const { life, listener } = this.#process;
    world.trace(this.name, `crashes: ${why}`);
    life.alive = false;
    this.#process = undefined;
    network.listeners[index] = undefined;
    network.cutFrom(listener, chance.is(0.3));
    store.crashed();
    this.stepsToCrash = Number.POSITIVE_INFINITY;
    this.onEnd(chance);
  }

  /** The process is stopped (SIGSTOP) for a while; its connections stay. */
  freeze(forMs: number): void {
    if (this.#process === undefined) return;
    this.#options.world.trace(this.name, `is frozen for ${Math.round(forMs)} ms`);
    this.#process.life.frozenUntilMs = this.#options.world.nowMs + forMs;
  }

  /** Goes on at once. */
  thaw(): void {
    if (this.#process !== undefined) this.#process.life.frozenUntilMs = this.#options.world.nowMs;
  }

  /** Answers what is open, takes nothing more, and ends when it is idle. */
  stop(): void {
    const process = this.#process;
    if (process === undefined) return;
    const { world } = this.#options;
    world.trace(this.name, 'stops in order');
    process.core.stop();
    const look = () => {
      if (process.core.idle) {
        if (process.derived !== undefined) this.#settle(process.derived.stop());
        this.crash('it was stopped, and is idle');
      } else world.schedule(100, look, process.life);
    };
    look();
  }

  #startRules(life: Life): DerivedPipeline | undefined {
    const { world, clock, rulesStore } = this.#options;
    if (rulesStore === undefined) return undefined;
    const { derived, started } = startDerived({ world, clock, life, rulesStore, storeFault: () => this.storeFault });
    this.#settle(started);
    return derived;
  }

  #settle(done: Promise<void>): void {
    const { world } = this.#options;
    done.catch((error: unknown) => world.fail(error));
    world.settle();
  }

  #tick(life: Life, core: IngestCore): void {
    const { world, clock } = this.#options;
    world.schedule(
      TICK_MS,
      () => {
        core.tick(clock.wallUs());
        this.#tick(life, core);
      },
      life,
    );
  }

  /** Counts a step of a commit; whether the process has ended with it. */
  #endsHere(step: string): boolean {
    if (--this.stepsToCrash > 0) return false;
    this.crash(step);
    return true;
  }

  #port(life: Life, core: () => IngestCore, oldestLive: Map<string, number>): CommitPort {
    const { world, clock, chance, store, usualCommitMs } = this.#options;
    const workMs = () => {
      const { min, max } = this.commitMs ?? usualCommitMs;
      return chance.between(min, max) / 2;
    };
    const commit = (devices: readonly DeviceCommit[]) => {
      if (this.#endsHere('before a commit')) return;
      let answer: () => void;
      try {
        this.#failIfDue(devices);
        const outcomes = store.commit(devices, clock.wallUs());
        this.commits++;
        world.trace(this.name, `commits ${devices.map(({ items }) => items.length).join('+')} items`);
        answer = () => core().committed(outcomes, clock.wallUs());
      } catch (error) {
        if (error instanceof Violation) throw error;
        world.trace(this.name, `cannot commit: ${String(error)}`);
        answer = () => core().commitFailed(error);
      }
      if (this.#endsHere('after a commit')) return;
      const heard = () => {
        if (!this.#endsHere('before a commit is heard of')) answer();
      };
      world.schedule(workMs(), heard, life);
    };
    return {
      wake: () => world.schedule(0, () => core().wake(), life),
      begin: (devices) => {
        for (const { deviceId, epochId, items } of devices) {
          for (const { lane, sequence, firstUs } of items) {
            // The other copy of a buffer may have an item without event times under the same sequence.
            if (lane === Lane.LIVE && firstUs !== 0) oldestLive.set(`${deviceId}/${epochId}/${sequence}`, firstUs);
          }
        }
        world.schedule(workMs(), () => commit(devices), life);
      },
      bug: (error, doing) => {
        if (!(error instanceof PoisonedCommit)) {
          world.fail(error instanceof Violation ? error : new Violation('bug', `${doing}: ${stackOf(error)}`));
        }
      },
    };
  }

  #failIfDue(devices: readonly DeviceCommit[]): void {
    const { storePoison } = this.#options;
    if (this.storeFault !== undefined) throw new StoreError(this.storeFault, 'the simulated disk refuses');
    if (storePoison.size === 0) return;
    for (const { items } of devices) {
      for (const { body } of items) if (storePoison.has(bodyKey(body))) throw new PoisonedCommit();
    }
  }

  #listener(life: Life, core: IngestCore, derived: DerivedPipeline | undefined): Listener {
    const { world, chance } = this.#options;
    return {
      life,
      register: (device, request, reply) => {
        world.schedule(
          chance.between(0, WORK_MS_MAX),
          () => this.#register({ life, core, derived }, device, request, reply),
          life,
        );
      },
      open: (device, peer) => this.#open(core, device, peer),
    };
  }

  #register(
    { life, core, derived }: Pick<Process, 'life' | 'core' | 'derived'>,
    device: string,
    request: Uint8Array,
    reply: (reply: RegisterReply) => void,
  ): void {
    const { world, clock, store, limits, checker } = this.#options;
    const dependencies: RegisterDependencies = {
      store: {
        register: async (registration) => {
          if (this.storeFault !== undefined) throw new StoreError(this.storeFault, 'the simulated disk refuses');
          return store.register(registration);
        },
      },
      clock,
      core,
      limits,
      ...(derived !== undefined && { introduce: derived.introduce.bind(derived) }),
    };
    const name: DeviceName = { tenant: '', device };
    const decoded = RegisterRequest.decode(request);
    const answered = register(dependencies, name, decoded).then(
      (result) => {
        if (!life.alive) return;
        this.#noteRegistration(device, hex(decoded.startId));
        world.trace(this.name, `registers ${device}: ${result.outcome}`);
        if (result.outcome === 'registered') {
          reply({ reply: 'answer', bytes: RegisterResponse.encode(result.response).finish() });
        } else if (result.outcome === 'conflict' && checker.isCopied(device)) {
          const failure = { ...unavailable(result.detail), kind: 'invalid' as const };
          reply({ reply: 'failure', failure, conflict: true });
        } else
          world.fail(new Violation('I1', `${device} was refused: ${result.outcome}, ${result.detail}`, { device }));
      },
      (error: unknown) => {
        if (!(error instanceof StoreError)) world.fail(error);
        else if (life.alive) reply({ reply: 'failure', failure: unavailable(error.message), conflict: false });
      },
    );
    answered.catch((error: unknown) => world.fail(error));
    world.settle();
  }

  /** However often the network fails, a device must not hammer; one whose items are taken in between does not. */
  #noteRegistration(device: string, startId: string): void {
    const { nowMs } = this.#options.world;
    let starts = this.#registeredMs.get(device);
    if (starts === undefined) {
      starts = new Map();
      this.#registeredMs.set(device, starts);
    }
    const times = starts.get(startId) ?? [];
    starts.set(startId, times);
    times.push(nowMs);
    if (times.length <= REGISTRATIONS_A_MINUTE_MAX) return;
    if (nowMs - times.shift()! < 60_000) {
      throw new Violation(
        'I5',
        `${device} registered more than ${REGISTRATIONS_A_MINUTE_MAX} times in a minute, in vain`,
      );
    }
  }

  #open(core: IngestCore, device: string, peer: StreamPeer): ServerStream {
    const { world, clock, checker } = this.#options;
    let header: UploadHeader | undefined;
    const stream = core.open(
      { tenant: '', device },
      {
        answer: (response) => {
          const { durable, later, forked } = response;
          const text = JSON.stringify(forked.length > 0 ? { durable, later, forked } : { durable, later });
          world.trace(this.name, `answers ${device} ${text}`);
          if (response.durable.length > 0) this.#registeredMs.delete(device);
          if (header !== undefined) checker.acknowledged(device, header.epoch, response.durable);
          if (response.forked.length > 0 && !checker.isCopied(device)) {
            world.fail(new Violation('I1', `${device} was told of a fork, and has none`, { device }));
          }
          if (header !== undefined) this.#announced(header, response);
          peer.answer(UploadResponse.encode(response).finish());
        },
        fail: ({ message }) => {
          world.fail(new Violation('I1', `the collector takes a stream of ${device} for wrong: ${message}`));
          peer.fail(message);
        },
        pause: () => peer.pause(),
        resume: () => peer.resume(),
      },
      clock.wallUs(),
    );
    return {
      message: (bytes) => {
        header ??= decodeUploadMessage(bytes)?.header;
        stream.message(bytes, clock.wallUs());
      },
      halfClose: () => stream.halfClose(clock.wallUs()),
      cancel: () => stream.cancel(),
    };
  }

  /** A stream of the live lane that was taken whole brings its watermark. */
  #announced({ epoch, lane, watermarkSegment, watermarkUs }: UploadHeader, response: UploadResponse): void {
    const isClean = response.later.length === 0 && response.rejected.length === 0 && response.forked.length === 0;
    if (lane !== Lane.LIVE || !isClean || watermarkSegment === 0) return;
    this.#options.checker.announced(hex(epoch), watermarkSegment, watermarkUs);
  }
}

/** What a bad item does to a commit: no error that the store knows of. */
class PoisonedCommit extends Error {
  override readonly name = 'PoisonedCommit';
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
