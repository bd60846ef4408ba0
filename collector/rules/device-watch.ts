import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { AlertMaker } from './alert-maker.js';
import type { RuleHost } from './rule-host.js';
import type { Cell, DeviceTrack } from './tracks.js';

export interface DeviceWatchOptions {
  host: RuleHost;
  maker: AlertMaker;
  clock: Pick<Clock, 'wallUs'>;
  scheduler: Scheduler;
  /** When any collector has last heard of a device, by its clock, microseconds. */
  lastSeenUs: (deviceId: number) => Promise<number>;
  /** Something of a device's rules has changed. */
  changed: (deviceId: number) => void;
}

/** Devices that are silent are looked for this often: absence is told in minutes. */
const LOOK_MS = 1000;

/**
 * Rules that watch when a device was last heard of: an upload, a heartbeat or a registration, by the collector's clock. While
 * no collector ran nobody could hear anything, so after a start every device gets the full time again.
 */
export class DeviceWatch {
  readonly #options: DeviceWatchOptions;
  readonly #out: Transition[] = [];
  /** Devices of which the store is being asked. */
  readonly #asked = new Map<DeviceTrack, Promise<void>>();
  #cancelTimer: (() => void) | undefined;
  #isRunning = false;

  constructor(options: DeviceWatchOptions) {
    this.#options = options;
  }

  /** Begins to look. Every device counts as heard of now; what is told as absent stays so until it is heard of. */
  start(): void {
    this.#isRunning = true;
    this.#begin((cell) => cell.incident === undefined);
  }

  /** Other rules are in force: those that are new begin now. */
  replaced(): void {
    if (this.#isRunning) this.#begin((cell) => cell.instance.lastUs === Number.NEGATIVE_INFINITY);
  }

  /** Looks no more; resolves when what was being asked is answered and told. */
  async stop(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#isRunning = false;
    await Promise.all(this.#asked.values());
  }

  /** Resolves when the store has answered for every device that it was asked for. */
  async settled(): Promise<void> {
    await Promise.all(this.#asked.values());
  }

  /** A device was heard of now. */
  heard(deviceId: number): void {
    const { host, clock } = this.#options;
    const device = host.devices.get(deviceId);
    if (device === undefined || device.watchCells.length === 0) return;
    const nowUs = clock.wallUs();
    for (const cell of device.watchCells) {
      cell.instance.heard(nowUs, this.#out);
      this.#went(device, cell);
    }
  }

  #begin(counts: (cell: Cell) => boolean): void {
    const nowUs = this.#options.clock.wallUs();
    for (const device of this.#options.host.devices.values()) {
      for (const cell of device.watchCells) {
        if (!counts(cell)) continue;
        cell.instance.heard(nowUs, this.#out);
        this.#went(device, cell);
      }
    }
    this.#arm();
  }

  #arm(): void {
    const { host, scheduler } = this.#options;
    if (!this.#isRunning || this.#cancelTimer !== undefined) return;
    if (!host.rules.some(({ watchesDevice }) => watchesDevice)) return;
    this.#cancelTimer = scheduler.setTimer(LOOK_MS, () => {
      this.#cancelTimer = undefined;
      this.#look();
      this.#arm();
    });
  }

  #look(): void {
    const { host, clock } = this.#options;
    const nowUs = clock.wallUs();
    for (const device of host.devices.values()) {
      if (this.#asked.has(device) || !device.watchCells.some(({ instance }) => instance.dueUs <= nowUs)) continue;
      this.#asked.set(
        device,
        this.#ask(device, nowUs).finally(() => this.#asked.delete(device)),
      );
    }
  }

  /**
   * The device may have moved to another collector: it is absent when none has heard of it, up to when the store was asked.
   * What has come since then the answer may not have.
   */
  async #ask(device: DeviceTrack, askedUs: number): Promise<void> {
    let seenUs: number;
    try {
      seenUs = await this.#options.lastSeenUs(device.deviceId);
    } catch {
      // A store that is away is asked again at the next look.
      return;
    }
    if (this.#options.host.devices.get(device.deviceId) !== device) return;
    for (const cell of device.watchCells) {
      cell.instance.heard(seenUs, this.#out);
      cell.instance.passTime(askedUs, this.#out);
      this.#went(device, cell);
    }
  }

  #went(device: DeviceTrack, cell: Cell): void {
    if (this.#out.length === 0) return;
    for (const transition of this.#out) this.#options.maker.went(device, cell, transition, true);
    this.#out.length = 0;
    this.#options.changed(device.deviceId);
  }
}
