import type { Scheduler } from '@tributary/core/clock/clock';
import type { Logger } from 'pino';
import type { DerivedLimits } from './derived-limits.js';
import type { RuleHost } from './rule-host.js';

export interface RejudgeScheduleOptions {
  host: RuleHost;
  scheduler: Scheduler;
  logger: Logger;
  limits: Pick<DerivedLimits, 'holeQuietMs' | 'holeWaitMs' | 'disorderQuietMs' | 'historyShare'>;
  /** Judges a device's history anew; rejects when the store fails. */
  judge: (deviceId: number) => Promise<void>;
}

/** Devices are looked at this often. */
const LOOK_MS = 1000;

/** Says when the history of a device is judged anew: one device at a time, and none too often. */
export class RejudgeSchedule {
  /** Of devices that were looked at, those of which something must be judged anew. */
  readonly #dirty = new Set<number>();
  /** When a device may be judged again, milliseconds. */
  readonly #notBefore = new Map<number, number>();
  readonly #options: RejudgeScheduleOptions;
  #running: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;
  #passes = 0;
  #failed = 0;

  constructor(options: RejudgeScheduleOptions) {
    this.#options = options;
  }

  get counters() {
    return { devicesDirty: this.#dirty.size, historyPasses: this.#passes, historyPassesFailed: this.#failed };
  }

  /** Something of a device may have to be judged anew. */
  look(deviceId: number): void {
    if (this.#options.host.devices.get(deviceId)?.dirt === undefined) return;
    this.#dirty.add(deviceId);
    this.#arm();
  }

  forget(deviceId: number): void {
    this.#dirty.delete(deviceId);
    this.#notBefore.delete(deviceId);
  }

  /** Judges all of them now, whatever is still missing. */
  async runAll(): Promise<void> {
    await this.#running;
    for (const deviceId of [...this.#dirty]) await this.#judge(deviceId);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#running;
  }

  #arm(): void {
    if (this.#stopped || this.#cancelTimer !== undefined || this.#running !== undefined) return;
    this.#cancelTimer = this.#options.scheduler.setTimer(LOOK_MS, () => {
      this.#cancelTimer = undefined;
      this.#running = this.#runDue().finally(() => {
        this.#running = undefined;
        if (this.#dirty.size > 0) this.#arm();
      });
    });
  }

  async #runDue(): Promise<void> {
    for (const deviceId of [...this.#dirty]) {
      if (this.#stopped) return;
      if (this.#isDue(deviceId)) await this.#judge(deviceId);
    }
  }

  #isDue(deviceId: number): boolean {
    const { host, scheduler, limits } = this.#options;
    const device = host.devices.get(deviceId);
    if (device?.dirt === undefined) {
      this.#dirty.delete(deviceId);
      return false;
    }
    const nowMs = scheduler.nowMs();
    if (nowMs < (this.#notBefore.get(deviceId) ?? Number.NEGATIVE_INFINITY)) return false;
    const { line, dirt } = device;
    const settled = line.settle(
      (hole) => nowMs - hole.newsMs >= limits.holeQuietMs || nowMs - hole.foundMs >= limits.holeWaitMs,
    );
    if (settled > 0) device.changed = true;
    // What has waited for all that long is judged as it stands, though holes are still open.
    if (nowMs - dirt.sinceMs >= limits.holeWaitMs) return true;
    return line.holes.length === 0 && nowMs - dirt.newsMs >= limits.disorderQuietMs;
  }

  async #judge(deviceId: number): Promise<void> {
    const { scheduler, limits, logger, judge, host } = this.#options;
    const beganMs = scheduler.nowMs();
    try {
      await judge(deviceId);
      this.#passes += 1;
    } catch (error) {
      this.#failed += 1;
      logger.warn({ err: error, deviceId }, 'history could not be judged anew; trying again');
    }
    const endedMs = scheduler.nowMs();
    // Less than a look apart nothing can be due.
    this.#notBefore.set(deviceId, endedMs + (endedMs - beganMs) * (1 / limits.historyShare - 1));
    if (host.devices.get(deviceId)?.dirt === undefined) this.forget(deviceId);
  }
}
