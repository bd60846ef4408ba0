import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Logger } from 'pino';
import type { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { Derived, NewMark, RuleStateRow, Store } from '../store/store.js';
import type { AlertOutbox } from './alert-outbox.js';
import { portionsOf } from './derived-portions.js';

export interface DerivedSaverOptions {
  store: Store;
  clock: Pick<Clock, 'wallUs'>;
  scheduler: Scheduler;
  logger: Logger;
  rollups: RollupBuffer;
  outbox: AlertOutbox;
  flushIntervalMs: number;
  rollupRowsMax: number;
  /** What rules know of a device and is not saved yet. */
  rowsOf: (deviceId: number) => RuleStateRow[];
  /** Another process has moved the marks of these devices: what this one has of them is not to be used any more. */
  refused: (deviceIds: readonly number[]) => void;
}

/** A store that is away is asked again about this often. */
const RETRY_MS = 1000;

/** Rows of one transaction: some 10 ms in which no reading is committed and nobody is answered. */
const PORTION_ROWS = 500;

/**
 * Saves what follows from commits, with the marks up to which it follows, after the alerts of these commits. A mark moves
 * only from where this process knows it to be: where another process has moved it meanwhile, nothing of the device is saved.
 */
export class DerivedSaver {
  readonly #options: DerivedSaverOptions;
  /** Where marks are in the store. */
  readonly #saved = new Map<number, number>();
  /** Where they are to be. */
  #marks = new Map<number, number>();
  #saving: Promise<void> | undefined;
  /** What a save had taken is lost to this process. Whatever is saved behind it would move the marks past it. */
  #saveFailed: unknown;
  #cancelTimer: (() => void) | undefined;
  /** The time has come to save everything. */
  #flushDue = false;
  #stopped = false;
  readonly #endPauses = new Set<() => void>();

  constructor(options: DerivedSaverOptions) {
    this.#options = options;
  }

  /** Where a device's mark is in the store. */
  loaded(deviceId: number, position: number): void {
    this.#saved.set(deviceId, position);
  }

  /** Nothing of a device is to be saved any more until it is `loaded` again. */
  forget(deviceId: number): void {
    this.#saved.delete(deviceId);
    this.#marks.delete(deviceId);
  }

  /** A device is digested up to this commit; or, where it was before, something of its rules has changed. */
  mark(deviceId: number, position: number): void {
    this.#marks.set(deviceId, position);
  }

  get saving(): boolean {
    return this.#saving !== undefined;
  }

  schedule(): void {
    if (this.#stopped || this.#saving !== undefined) return;
    const { rollups, scheduler, rollupRowsMax, flushIntervalMs } = this.#options;
    if (this.#flushDue || rollups.length >= rollupRowsMax) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      this.#saveInBackground();
    } else if (rollups.heavy !== undefined && this.#marks.has(rollups.heavy)) {
      // A device that catches up: what it brings is saved as it comes, not in one transaction that everybody waits for.
      this.#saveInBackground(rollups.heavy);
    } else if (this.#cancelTimer === undefined && this.#marks.size > 0) {
      this.#cancelTimer = scheduler.setTimer(flushIntervalMs, () => {
        this.#cancelTimer = undefined;
        // After the save that runs everything has its turn, however many devices are heavy.
        this.#flushDue = true;
        this.schedule();
      });
    }
  }

  /** Saves everything that is digested now. Rejects when the store fails and it is being stopped. */
  async flush(): Promise<void> {
    // Nothing less is begun while this waits for the save that runs.
    this.#flushDue = true;
    while (this.#saving !== undefined) await this.#saving;
    await this.#save();
  }

  /** The same of one device. */
  async flushDevice(deviceId: number): Promise<void> {
    while (this.#saving !== undefined) await this.#saving;
    await this.#save(deviceId);
  }

  /** Nothing is tried again from now on. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    for (const end of this.#endPauses) end();
  }

  /** Waits before the store is asked again; not when it is being stopped. */
  pause(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        this.#endPauses.delete(end);
        resolve();
      };
      const cancel = this.#options.scheduler.setTimer(RETRY_MS, end);
      this.#endPauses.add(end);
    });
  }

  #saveInBackground(only?: number): void {
    this.#save(only).then(
      () => this.schedule(),
      // Only when stopping: whoever stops reports it.
      () => {},
    );
  }

  /** Takes what is digested, of all devices or of one, and saves it, however often the store must be asked. */
  #save(only?: number): Promise<void> {
    if (this.#saveFailed !== undefined) return Promise.reject(this.#saveFailed);
    if (this.#marks.size === 0 || (only !== undefined && !this.#marks.has(only))) {
      if (only === undefined) this.#flushDue = false;
      return this.#options.outbox.drained();
    }
    const derived = this.#handOver(only);
    const saving = this.#saveInPortions(derived)
      .catch((error: unknown) => {
        this.#saveFailed = error;
        throw error;
      })
      .finally(() => {
        this.#saving = undefined;
      });
    this.#saving = saving;
    return saving;
  }

  #handOver(only: number | undefined): Derived {
    const { rollups, rowsOf } = this.#options;
    const deviceIds = only === undefined ? [...this.#marks.keys()] : [only];
    const marks = deviceIds.map((deviceId) => this.#newMark(deviceId));
    const ruleStates = deviceIds.flatMap(rowsOf);
    if (only !== undefined) {
      this.#marks.delete(only);
      return { marks, rollups: rollups.takeOf(only), ruleStates };
    }
    this.#flushDue = false;
    this.#marks = new Map();
    return { marks, rollups: rollups.take(), ruleStates };
  }

  #newMark(deviceId: number): NewMark {
    return { deviceId, position: this.#marks.get(deviceId)!, from: this.#saved.get(deviceId) ?? 0 };
  }

  /** Rejects only when it is being stopped. */
  async #saveInPortions(derived: Derived): Promise<void> {
    await this.#options.outbox.drained();
    // The store commits readings between two portions.
    for (const portion of portionsOf(derived, PORTION_ROWS)) {
      const refused = await this.#savePortion(portion);
      for (const { deviceId, position } of portion.marks) {
        if (!refused.includes(deviceId) && this.#saved.has(deviceId)) this.#saved.set(deviceId, position);
      }
      if (refused.length > 0) this.#options.refused(refused);
    }
  }

  async #savePortion(derived: Derived): Promise<number[]> {
    const { store, logger } = this.#options;
    for (let failed = false; ; failed = true) {
      try {
        if (failed && (await this.#isSaved(derived))) return [];
        return await store.saveDerived(derived);
      } catch (error) {
        if (this.#stopped) throw error;
        logger.warn({ err: error }, 'derived data could not be saved; trying again');
        await this.pause();
      }
    }
  }

  /** Whether a save that failed was done all the same, and only its answer was lost: rollups would be counted twice. */
  async #isSaved({ marks }: Derived): Promise<boolean> {
    const moved = marks.find(({ position, from }) => position !== from);
    // Where no mark moves there are no rollups, and the same states again are the same.
    if (moved === undefined) return false;
    const [mark] = await this.#options.store.derivedMarks(moved.deviceId);
    return mark !== undefined && mark.position >= moved.position;
  }
}
