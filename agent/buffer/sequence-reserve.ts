import type { BufferState } from './item-table.js';

/**
 * Each reservation is a commit, and after a crash all that is reserved is declared as a bound. Two minutes make 720 commits
 * a day, some 2 bytes a reading at ten a second, and a bound that a person can still make use of.
 */
const RESERVE_MS = 120_000;
/** Before a rate is known: a start that writes one batch a second reserves again after half a minute. */
const SEQUENCES_MIN = 32;
const READINGS_MIN = 1_024;
/** Rates beyond this reserve more often: 500 batches a second, a million readings a second. */
const SEQUENCES_MAX = 65_536;
const READINGS_MAX = 2 ** 27;
/** A rate that jumps is followed in steps, so that one burst does not reserve for hours. */
const GROWTH = 4;

/** How many sequences and readings are reserved at a time, so that it lasts for about two minutes. */
export class SequenceReserve {
  #sequences = SEQUENCES_MIN;
  #readings = READINGS_MIN;
  #last: { atMs: number; sequence: number; readings: number } | undefined;

  /** The state to be written at this moment, with what is reserved beyond it. Nothing is where the run ends. */
  written(state: Readonly<BufferState>, nowMs: number): BufferState {
    if (state.isClosed) return { ...state, reservedSequence: 0, reservedReadings: 0, isSending: false };
    this.#adapt(state, nowMs);
    return {
      ...state,
      // What an earlier process had reserved stands until it is declared.
      reservedSequence: Math.max(state.reservedSequence, state.highestSequence + this.#sequences),
      reservedReadings: Math.max(state.reservedReadings, this.#readings + state.crashBound),
      // Anything may be sent before the disk hears of it.
      isSending: true,
    };
  }

  #adapt({ highestSequence, readingsProduced }: Readonly<BufferState>, nowMs: number): void {
    const last = this.#last;
    this.#last = { atMs: nowMs, sequence: highestSequence, readings: readingsProduced };
    // A new epoch counts from the beginning.
    if (last === undefined || highestSequence < last.sequence) return;
    const scale = RESERVE_MS / Math.max(1, nowMs - last.atMs);
    const next = (before: number, used: number, least: number, most: number): number =>
      Math.ceil(Math.min(Math.max(used * scale, before / 2, least), before * GROWTH, most));
    this.#sequences = next(this.#sequences, highestSequence - last.sequence, SEQUENCES_MIN, SEQUENCES_MAX);
    this.#readings = next(this.#readings, readingsProduced - last.readings, READINGS_MIN, READINGS_MAX);
  }
}
