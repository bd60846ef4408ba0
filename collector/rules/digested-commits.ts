import type { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { DerivedMark } from '../store/store.js';
import type { BehindDevices } from './behind-devices.js';
import type { DerivedSaver } from './derived-saver.js';
import type { RuleHost } from './rule-host.js';

export interface DigestedCommitsOptions {
  host: RuleHost;
  saver: DerivedSaver;
  behind: BehindDevices;
  rollups: RollupBuffer;
  /** Saving does not keep up: what comes is read back later. */
  busy: () => boolean;
  /** What is in memory of a device is given up. */
  forgotten: (deviceId: number) => void;
}

/**
 * Up to where each device's commits are digested, and whether a commit is digested as it comes or read back from the store.
 * Positions of a device count up by one; whichever process digests a commit, it is digested once.
 */
export class DigestedCommits {
  /** How often another process had digested commits of a device that this one had in memory. */
  lost = 0;

  readonly #options: DigestedCommitsOptions;
  readonly #digested = new Map<number, number>();
  /** Commits of which something without readings was seen; the commit is not marked yet. */
  readonly #noted = new Map<number, number>();

  constructor(options: DigestedCommitsOptions) {
    this.#options = options;
  }

  /** Undefined for a device that was not loaded. */
  get(deviceId: number): number | undefined {
    return this.#digested.get(deviceId);
  }

  has(deviceId: number): boolean {
    return this.#digested.has(deviceId);
  }

  /** What rules know of a device follows its commits up to its mark in the store. */
  loaded({ deviceId, position }: DerivedMark): void {
    this.#options.saver.loaded(deviceId, position);
    this.#digested.set(deviceId, position);
  }

  mark(deviceId: number, position: number): void {
    this.#digested.set(deviceId, position);
    this.#options.saver.mark(deviceId, position);
  }

  /** Something of a device's rules has changed without a commit. */
  touch(deviceId: number): void {
    const digested = this.#digested.get(deviceId);
    if (digested !== undefined) this.#options.saver.mark(deviceId, digested);
  }

  /** Something without readings of a commit has been followed. */
  noted(deviceId: number, position: number): void {
    this.#noted.set(deviceId, position);
  }

  /** A commit was made, and everything of it was followed. */
  committed(deviceId: number, position: number): void {
    const isNoted = this.#noted.get(deviceId) === position;
    this.#noted.delete(deviceId);
    const digested = this.#digested.get(deviceId);
    const isNews = digested !== undefined && position > digested && !isNoted;
    // Where nothing was stored the position is that of an earlier commit: of another process, if it is not known here.
    if (isNews && this.#options.behind.get(deviceId) === undefined) this.forget(deviceId, position);
    else if (!this.passBy(deviceId, position, isNoted)) this.mark(deviceId, position);
  }

  /**
   * Whether a commit is not to be digested now: it was, or it will be read back. `isOwn`: this process has made it, which does
   * not follow from the position alone where nothing was stored.
   */
  passBy(deviceId: number, position: number, isOwn = true): boolean {
    const { behind: devices, host, busy } = this.#options;
    const behind = devices.get(deviceId);
    if (behind !== undefined) {
      behind.skipped = Math.max(behind.skipped, position);
      return true;
    }
    const digested = this.#digested.get(deviceId) ?? (isOwn ? this.#firstOf(deviceId, position) : undefined);
    if (digested !== undefined && position <= digested) return true;
    // Where a position is missing another process has committed for the device, and knows more of it.
    if (digested !== undefined && position > digested + 1) this.forget(deviceId, position);
    else if (digested === undefined || !host.knows(deviceId) || busy()) devices.add(deviceId, digested, position);
    else return false;
    return true;
  }

  /** Another process has moved a device's mark. */
  lose(deviceId: number): void {
    const { host, behind } = this.#options;
    if (!host.knows(deviceId)) return;
    this.lost += 1;
    this.forget(deviceId, Math.max(this.#digested.get(deviceId) ?? 0, behind.get(deviceId)?.skipped ?? 0));
  }

  /** Gives up what this process has in memory of a device: it is loaded again, and read back up to `skipped`. */
  forget(deviceId: number, skipped: number): void {
    const { host, saver, rollups, behind, forgotten } = this.#options;
    const { name, attributes } = host.device(deviceId);
    forgotten(deviceId);
    host.forget(deviceId);
    host.introduce(deviceId, name, attributes);
    saver.forget(deviceId);
    this.#digested.delete(deviceId);
    rollups.takeOf(deviceId);
    behind.add(deviceId, undefined, skipped);
  }

  /** A device whose first commit this is has nothing in the store that would have to be loaded. */
  #firstOf(deviceId: number, position: number): number | undefined {
    if (position !== 1 || !this.#options.host.knows(deviceId)) return undefined;
    this.loaded({ deviceId, position: 0, kept: undefined });
    return 0;
  }
}
