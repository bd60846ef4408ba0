import type { Logger } from 'pino';
import type { Watermark } from '../ingest/committed.js';
import type { DerivedMark } from '../store/store.js';

/** A device whose commits are not digested as they come but read back from the store. */
export interface Behind {
  /** Up to where its commits are digested; undefined where only the store knows, and the device is loaded first. */
  digested: number | undefined;
  /** The newest commit that was passed by. */
  skipped: number;
  kept: DerivedMark['kept'];
  /** Its history is judged anew: nothing else may touch its rules meanwhile. */
  isHeld: boolean;
  /** The newest watermark that came meanwhile. */
  watermark: Watermark | undefined;
}

export interface BehindDevicesOptions {
  logger: Logger;
  /** Reads back one page of a device's commits, and removes it when there is none. */
  step: (deviceId: number, behind: Behind) => Promise<void>;
  /** Waits before the store is asked again. */
  pause: () => Promise<void>;
}

/** Devices whose commits are read back, one device after another, until none is behind. */
export class BehindDevices {
  readonly #options: BehindDevicesOptions;
  readonly #behind = new Map<number, Behind>();
  #catchingUp: Promise<void> | undefined;
  #stopped = false;

  constructor(options: BehindDevicesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#behind.size;
  }

  get(deviceId: number): Behind | undefined {
    return this.#behind.get(deviceId);
  }

  add(deviceId: number, digested: number | undefined, skipped: number, kept?: DerivedMark['kept']): Behind {
    const behind = { digested, skipped, kept, isHeld: false, watermark: undefined };
    this.#behind.set(deviceId, behind);
    return behind;
  }

  remove(deviceId: number): void {
    this.#behind.delete(deviceId);
  }

  /** Reads back what can be read back now. Resolves when no device is behind but those that are held. */
  catchUp(): Promise<void> {
    this.#catchingUp ??= this.#catchUpAll().finally(() => {
      this.#catchingUp = undefined;
      // A device may have fallen behind since the last one was looked at.
      if (!this.#stopped && [...this.#behind.values()].some(({ isHeld }) => !isHeld)) void this.catchUp();
    });
    return this.#catchingUp;
  }

  /** What is behind stays so. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#catchingUp;
  }

  async #catchUpAll(): Promise<void> {
    for (const [deviceId, behind] of this.#behind) {
      while (!this.#stopped && this.#behind.get(deviceId) === behind && !behind.isHeld) {
        try {
          await this.#options.step(deviceId, behind);
        } catch (error) {
          this.#options.logger.warn({ err: error }, 'commits could not be read back; trying again');
          await this.#options.pause();
        }
      }
    }
  }
}
