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
  #cancelTimer: (() => void) | undefined;
  #isRunning = false;

  constructor(options: DeviceWatchOptions) {
    this.#options = options;
  }

  /** Begins to look, or takes up devices and rules that are new to it. */
  start(): void {
    this.#isRunning = true;
    const { host, clock } = this.#options;
    const nowUs = clock.wallUs();
    for (const device of host.devices.values()) this.#begin(device, nowUs);
    this.#arm();
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** A device was heard of now. */
  heard(deviceId: number): void {
    const { host, clock } = this.#options;
    const device = host.devices.get(deviceId);
    if (device === undefined || device.watchCells.length === 0) return;
    const nowUs = clock.wallUs();
    device.heardUs = nowUs;
    for (const cell of device.watchCells) {
      cell.instance.heard(nowUs, this.#out);
      this.#went(device, cell);
    }
  }

  /** What is told as absent stays so until it is heard of. */
  #begin(device: DeviceTrack, nowUs: number): void {
    for (const cell of device.watchCells) {
      if (cell.instance.phase === 'firing' || cell.timeUs >= device.heardUs) continue;
      device.heardUs = nowUs;
      cell.timeUs = nowUs;
      cell.instance.heard(nowUs, this.#out);
      this.#went(device, cell);
    }
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
      for (const cell of device.watchCells) {
        cell.instance.passTime(nowUs, this.#out);
        this.#went(device, cell);
      }
    }
  }

  #went(device: DeviceTrack, cell: Cell): void {
    if (this.#out.length === 0) return;
    for (const transition of this.#out) this.#options.maker.went(device, cell, transition, true);
    this.#out.length = 0;
    this.#options.changed(device.deviceId);
  }
}
