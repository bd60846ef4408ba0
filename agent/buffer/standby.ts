import type { BufferIdentity } from './buffer.js';
import { BufferCore } from './buffer-core.js';
import type { ItemTable } from './item-table.js';
import { MemoryItemTable } from './memory-item-table.js';

export interface StandbyOptions {
  /** How long the disk refuses before items wait in memory instead, in milliseconds. */
  afterMs: number;
  /** Bytes that they may take there. */
  quotaBytes: number;
  /** As in `BufferCore`; by default nothing is thinned. */
  thinningWindowMs?: number | undefined;
  /** Where they wait; memory by default. */
  newTable?: () => ItemTable;
}

/**
 * Who waits for the disk asks again each five seconds. Refusals that are further apart than this are not one: in between
 * nobody had anything to write.
 */
const APART_MS = 60_000;

/**
 * Before the disk is used again, what waits in memory is delivered, and nothing new is taken. On a link that works that is
 * a stream's age and its answer; without one memory goes on taking.
 */
const DRAIN_MS_MAX = 10_000;

/**
 * What takes the place of a disk that takes nothing any more: items wait in memory, in an epoch of their own, and are sent
 * from there. A power cut takes them. It begins with what the disk's own core had declared, under the same ids.
 */
export class Standby {
  readonly #options: StandbyOptions;
  #sinceMs: number | undefined;
  #lastMs = 0;
  #core: BufferCore | undefined;
  #draining: { opened: BufferCore; untilMs: number } | undefined;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** Undefined while the disk is used. */
  get core(): BufferCore | undefined {
    return this.#core;
  }

  /** The disk takes writes again; what waits here is delivered first, and nothing is added. */
  get isDraining(): boolean {
    return this.#draining !== undefined;
  }

  /** The disk has refused. Answers whether it has done so for long enough. */
  refused(nowMs: number): boolean {
    if (this.#sinceMs === undefined || nowMs - this.#lastMs > APART_MS) this.#sinceMs = nowMs;
    this.#lastMs = nowMs;
    return nowMs - this.#sinceMs >= this.#options.afterMs;
  }

  /** The disk has taken something. */
  taken(): void {
    this.#sinceMs = undefined;
  }

  /** `previous` is the disk's core; undefined where the disk could not even be opened. */
  begin(previous: BufferCore | undefined, newEpoch: Uint8Array, refusal: string): BufferIdentity {
    const { newTable = () => new MemoryItemTable(), quotaBytes, thinningWindowMs } = this.#options;
    const core = new BufferCore(newTable(), quotaBytes, newEpoch, thinningWindowMs);
    if (previous !== undefined) core.takeCatalogue(previous);
    core.beginRun(0);
    this.#core = core;
    const identity = { ...core.identity('clean'), standby: refusal };
    // Alerts stay with the disk, and so does what was heard of them.
    return previous === undefined ? identity : { ...identity, alertCursor: previous.state.alertCursor };
  }

  /**
   * Leaves for the disk if that can be opened, as soon as everything that waits here has been delivered; to be called until it
   * answers the disk's core, which is used from then on. Its epoch is to be left once it is settled: the collector has heard
   * of another one since. Throws what the disk throws; it is closed again then, and this goes on.
   */
  leave(nowMs: number, disk: { open(): BufferCore; close(): void }): BufferCore | undefined {
    const core = this.#core;
    if (core === undefined) return undefined;
    const draining = this.#draining;
    if (draining !== undefined && nowMs >= draining.untilMs) {
      this.#draining = undefined;
      disk.close();
      return undefined;
    }
    try {
      const opened = draining?.opened ?? disk.open();
      this.#draining = draining ?? { opened, untilMs: nowMs + DRAIN_MS_MAX };
      if (core.status().itemsWaiting > 0) return undefined;
      opened.takeCatalogue(core);
      opened.append([], undefined, { ruleNotes: core.ruleNotes() });
      opened.amend({ isSuspect: true });
      this.#core = undefined;
      this.#draining = undefined;
      this.#sinceMs = undefined;
      return opened;
    } catch (error) {
      this.#draining = undefined;
      disk.close();
      throw error;
    }
  }
}
