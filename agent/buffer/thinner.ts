import { rangeOf, type SequenceRanges } from '@tributary/core/sequence-ranges/sequence-ranges';
import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch } from '@tributary/proto/batch/batch';
import { BatchError } from '@tributary/proto/batch/batch-error';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { encodeBatch } from '@tributary/proto/batch/encode';
import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CountedRows } from './counted-rows.js';
import type { BufferedItem, ItemHeader } from './item-table.js';
import { BATCH, THINNED } from './loss-entries.js';
import { rowBytes } from './row-size.js';
import { encodeThinnedBatch, keptReadings } from './thinned-batch.js';
import { thinBatches } from './thinning.js';

// What is thinned together: many batches, so that windows are whole, and no more than takes a few milliseconds.
const RUN_BYTES_MAX = 256 * 1024;
const RUN_READINGS_MAX = 65_536;
const RUN_ITEMS_MAX = 1024;
/** An entry for each stretch of consecutive sequences; about 40 bytes each. */
const RUN_RANGES_MAX = 256;
/** The newest part of the quota stays whole until it is worth a run. */
const NEWEST_OF_QUOTA = 64;
/** Thinning that leaves more than this of the bytes is not worth the readings it costs. */
const BYTES_LEFT_MAX = 0.75;
/** Runs of one call that turn out not to be worth it, and rows of one call that are only passed: the next call goes on. */
const VAIN_RUNS_MAX = 2;
const PASSED_ROWS_MAX = 16_384;
const FETCH_ROWS = 256;

/** What takes the place of the rows that were thinned; it has no sequence yet. */
export interface ThinnedRow {
  body: Uint8Array;
  readingsLeftOut: number;
}

interface Candidate {
  item: BufferedItem;
  batch: Batch;
}

interface Run {
  candidates: Candidate[];
  /** Of their rows. */
  bytes: number;
  readings: number;
  /** Stretches of consecutive sequences. */
  ranges: number;
  /** The last sequence that was looked at. */
  through: number;
  /** There is nothing behind it yet. */
  isNewest: boolean;
}

/**
 * Thins the oldest batches that may be thinned, run by run. It goes through the rows once: what is thinned, protected or
 * not worth it is not looked at again, unless doubt has lifted from what was in doubt.
 */
export class Thinner {
  readonly #windowMs: number;
  readonly #arena = new DecodeArena();
  /** Up to here everything was looked at. */
  #through = 0;
  #hasPassedDoubt = false;
  /** Bytes that must be appended before the newest run is worth looking at again. */
  #bytesLacking = 0;
  #passedRows = 0;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** To be put back when a transaction fails. */
  get position(): [through: number, bytesLacking: number] {
    return [this.#through, this.#bytesLacking];
  }

  set position([through, bytesLacking]: [number, number]) {
    this.#through = through;
    this.#bytesLacking = bytesLacking;
  }

  /** Doubt has changed: what was passed for it may be thinned now. */
  doubtChanged(): void {
    if (this.#hasPassedDoubt) this.restart();
  }

  /** The rows have other sequences now. */
  restart(): void {
    this.#through = 0;
    this.#bytesLacking = 0;
    this.#hasPassedDoubt = false;
  }

  appended(bytes: number): void {
    this.#bytesLacking -= bytes;
  }

  /**
   * Within a transaction: takes rows out until there are `bytesOver` bytes less, or nothing more that may be thinned, and
   * answers what is to be put in their place. Work is bounded by the room that is asked for.
   */
  makeRoom(rows: CountedRows, doubted: SequenceRanges, bytesOver: number, limitBytes: number): ThinnedRow[] {
    const made: ThinnedRow[] = [];
    const newestBytes = Math.min(limitBytes / NEWEST_OF_QUOTA, RUN_BYTES_MAX);
    let over = bytesOver;
    let vain = 0;
    this.#passedRows = 0;
    while (over > 0 && vain < VAIN_RUNS_MAX && this.#bytesLacking <= 0) {
      const run = this.#collect(rows, doubted);
      if (run.isNewest && run.bytes < newestBytes) {
        this.#bytesLacking = newestBytes - run.bytes;
        this.#through = (run.candidates[0]?.item.sequence ?? run.through + 1) - 1;
        break;
      }
      this.#through = run.through;
      if (run.candidates.length === 0) break;
      const thinned = this.#thin(run, rows.state.epoch);
      if (thinned === undefined) {
        vain++;
        continue;
      }
      rows.deleteRows(thinned.replaced);
      over -= run.bytes - rowBytes(thinned.row.body.length);
      made.push(thinned.row);
    }
    return made;
  }

  /** The next batches of one segment, oldest first, that may be thinned. */
  #collect(rows: CountedRows, doubted: SequenceRanges): Run {
    const run: Run = { candidates: [], bytes: 0, readings: 0, ranges: 0, through: this.#through, isNewest: false };
    this.#arena.reset();
    while (this.#passedRows < PASSED_ROWS_MAX) {
      const headers = rows.table.headers(run.through + 1, Number.MAX_SAFE_INTEGER, FETCH_ROWS);
      if (headers.length === 0) {
        run.isNewest = true;
        return run;
      }
      // Bodies are read only of what may be thinned.
      for (let at = 0; at < headers.length; ) {
        const start = at;
        while (at < headers.length && this.#mayBeThinned(headers[at], doubted)) at++;
        if (at > start && !this.#take(run, rows, headers[start].sequence, at - start)) return run;
        if (at === headers.length) break;
        run.through = headers[at].sequence;
        this.#passedRows++;
        at++;
      }
    }
    return run;
  }

  #mayBeThinned({ kind, isProtected, sequence }: ItemHeader, doubted: SequenceRanges): boolean {
    if (kind !== BATCH || isProtected) return false;
    if (rangeOf(doubted, sequence) === undefined) return true;
    this.#hasPassedDoubt = true;
    return false;
  }

  /** Takes so many rows into a run; false where the run ends before the last of them. */
  #take(run: Run, rows: CountedRows, from: number, count: number): boolean {
    const { candidates } = run;
    for (let next = from, left = count; left > 0; ) {
      const items = rows.table.items(next, left, RUN_BYTES_MAX);
      if (items.length === 0) return false;
      for (const item of items) {
        if (candidates.length >= RUN_ITEMS_MAX || run.bytes >= RUN_BYTES_MAX) return false;
        if (run.readings >= RUN_READINGS_MAX || run.ranges > RUN_RANGES_MAX) return false;
        const batch = this.#decode(rows, item);
        if (batch !== undefined) {
          if (candidates.length > 0 && !isAlike(candidates[0].batch, batch)) return false;
          if (candidates.at(-1)?.item.sequence !== item.sequence - 1) run.ranges++;
          candidates.push({ item, batch });
          run.bytes += rowBytes(item.body.length);
          run.readings += item.readings;
        }
        run.through = item.sequence;
      }
      left -= items.length;
      next = run.through + 1;
    }
    return true;
  }

  #decode(rows: CountedRows, item: BufferedItem): Batch | undefined {
    // Damage is found, and declared, when the item is read or evicted.
    if (!rows.isIntact(item)) return undefined;
    try {
      const batch = decodeBatch(item.body, this.#arena);
      return batch.readings === item.readings ? batch : undefined;
    } catch (error) {
      if (error instanceof BatchError) return undefined;
      throw error;
    }
  }

  #thin(
    { candidates, bytes, readings }: Run,
    epoch: Uint8Array,
  ): { row: ThinnedRow; replaced: LedgerEntry[] } | undefined {
    const thinned = thinBatches(
      candidates.map(({ batch }) => batch),
      this.#windowMs,
      this.#arena,
    );
    if (thinned === undefined) return undefined;
    const replaced: LedgerEntry[] = [];
    const kept: number[] = [];
    for (const [at, { item }] of candidates.entries()) {
      const left = item.readings - thinned.kept[at];
      const range = replaced.at(-1);
      if (range?.last === item.sequence - 1) {
        range.last = item.sequence;
        range.readings += left;
        kept[kept.length - 1] += thinned.kept[at];
      } else {
        const { sequence } = item;
        replaced.push({ epoch, first: sequence, last: sequence, readings: left, bound: false, reason: THINNED });
        kept.push(thinned.kept[at]);
      }
    }
    let body: Uint8Array;
    try {
      body = encodeThinnedBatch({ replaced, kept, batch: encodeBatch(thinned.batch) });
    } catch (error) {
      // Together they may have more series or strings than a batch can.
      if (error instanceof BatchError) return undefined;
      throw error;
    }
    if (rowBytes(body.length) > bytes * BYTES_LEFT_MAX) return undefined;
    return { row: { body, readingsLeftOut: readings - keptReadings(kept) }, replaced };
  }
}

function isAlike(a: Batch, b: Batch): boolean {
  return a.segment === b.segment && a.unitExponent === b.unitExponent;
}
