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
  #drainsUntilMs: number | undefined;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** Undefined while the disk is used. */
  get core(): BufferCore | undefined {
    return this.#core;
  }

  /** Everything that waited here has been delivered. */
  get isEmpty(): boolean {
    return this.#core?.status().itemsWaiting === 0;
  }

  /** The disk takes writes again; what waits here is delivered first, and nothing is added. */
  get isDraining(): boolean {
    return this.#drainsUntilMs !== undefined;
  }

  drain(nowMs: number): void {
    this.#drainsUntilMs = nowMs + DRAIN_MS_MAX;
  }

  /** Whether that takes too long. */
  isDrainOver(nowMs: number): boolean {
    return this.#drainsUntilMs !== undefined && nowMs >= this.#drainsUntilMs;
  }

  /** Items are taken here again. */
  stopDraining(): void {
    this.#drainsUntilMs = undefined;
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
   * The disk takes over what was declared here. Its epoch is to be left once it is settled: the collector has heard of another
   * one since. Throws what the disk throws; then this goes on.
   */
  handOver(disk: BufferCore): void {
    if (this.#core === undefined) return;
    disk.takeCatalogue(this.#core);
    disk.append([], undefined, { ruleNotes: this.#core.ruleNotes() });
    disk.amend({ isSuspect: true });
    this.#core = undefined;
    this.#drainsUntilMs = undefined;
    this.#sinceMs = undefined;
  }
}
