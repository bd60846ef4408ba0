import type { LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { CORRUPT } from './loss-entries.js';

/** More gaps than this come from something else than damage; then one entry speaks of all. */
const GAPS_MAX = 4_096;

/** What is missing between rows that are there. */
export class GapList {
  readonly entries: LedgerEntry[] = [];
  readonly #epoch: Uint8Array;
  sequence = 0;
  readings = 0;

  constructor(epoch: Uint8Array) {
    this.#epoch = epoch;
  }

  /** The sequences before `sequence` are missing; with them go the readings up to `readingsBefore`. */
  until(sequence: number, readingsBefore: number, bound: boolean, reason: LossReason = CORRUPT): void {
    if (sequence <= this.sequence + 1) return;
    const first = this.sequence + 1;
    const readings = Math.max(0, readingsBefore - this.readings);
    const last = this.entries.at(-1);
    if (last !== undefined && this.entries.length >= GAPS_MAX && reason === CORRUPT) {
      last.last = sequence - 1;
      last.readings += readings;
      last.bound = true;
    } else this.entries.push({ epoch: this.#epoch, first, last: sequence - 1, readings, bound, reason });
  }

  reach(sequence: number, readings: number): void {
    this.sequence = sequence;
    this.readings = Math.max(this.readings, readings);
  }
}
