import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { itemChecksum } from '@tributary/proto/items/item';
import type { Database, Statement } from 'better-sqlite3';
import { type StatusRow, statusOfRow } from './alert-rows.js';
import { BufferCore } from './buffer-core.js';
import { isWithin } from './counted-rows.js';
import { GapList } from './gap-list.js';
import { type HighWaterMark, reservedAbove } from './high-water-mark.js';
import { type BufferState, freshState } from './item-table.js';
import type { LogFile } from './log-file.js';
import { CRASH_WINDOW } from './loss-entries.js';
import { RawPages } from './raw-pages.js';
import { type RawRow, rowsOfPage } from './raw-rows.js';
import { isSameEpoch, stateInFile, stateInLog } from './raw-state.js';
import { rowBytes } from './row-size.js';
import { type RuleNoteRow, ruleNoteOfRow } from './rule-note-rows.js';
import { SalvagedCatalogue } from './salvaged-catalogue.js';
import { SqliteItemTable } from './sqlite-item-table.js';
import { decodeThinnedBatch, THINNED_BATCH } from './thinned-batch.js';

/**
 * A start may take so long at the most: what is not reached is declared as lost, so a device of a tenth of the speed that was
 * measured still has to get through an ordinary quota. Garbage takes no time, since nothing of it is written.
 */
export const SALVAGE_MS_MAX = 180_000;
/** Rows of one transaction into the new file. */
const CHUNK_ROWS = 4_096;
/** How many pages are read between two looks at the clock. */
const PAGES_PER_LOOK = 256;
/** What is dropped at once when more rows come to light than the quota has room for. */
const SLICE_ROWS = 512;
/** More are not carried over: a buffer keeps no more. */
const ALERTS_MAX = 10_000;

export interface SalvageOptions {
  /** The file; nothing is written to it. */
  path: string;
  /** Its log, or undefined if there is none. */
  log: LogFile | undefined;
  mark: HighWaterMark | undefined;
  /** Nothing that was committed can be missing at the end of the log. */
  isTailSure: boolean;
  /** The counters, where the process that used the file still has them. */
  known: Readonly<BufferState> | undefined;
  quotaBytes: number;
  newEpoch: () => Uint8Array;
  /** Monotonic, in milliseconds. */
  nowMs: () => number;
  limitMs?: number;
}

/** What became of a damaged file. */
export interface SalvageReport {
  /** Undefined when neither the counters nor the mark could be read: then no row can be verified. */
  epoch: Uint8Array | undefined;
  items: number;
  readings: number;
  series: number;
  segments: number;
  alerts: number;
  /** All of the file was read. */
  isComplete: boolean;
  declared: LedgerEntry[];
}

/**
 * Carries every row that passes its checksum over to a new database (open, with the tables, empty). The pages are read one
 * by one, not through SQLite, so that damage in one place costs what lies there and nothing else; it does not matter whether
 * a page is still in use, since an item that was deleted has gone up or was declared, and stored beats declared.
 * Throws what SQLite throws when the new file cannot be written.
 */
export function salvage(into: Database, options: SalvageOptions): SalvageReport {
  const pages = new RawPages(options.path, options.log);
  try {
    return new Salvage(into, pages, options).run();
  } finally {
    pages.close();
  }
}

class Salvage {
  readonly #db: Database;
  readonly #table: SqliteItemTable;
  readonly #putItem: Statement;
  readonly #putAlert: Statement;
  readonly #pages: RawPages;
  readonly #options: SalvageOptions;
  readonly #deadlineMs: number;
  readonly #catalogue: SalvagedCatalogue;
  readonly #statuses = new Map<string, StatusRow>();
  readonly #ruleNotes = new Map<string, RuleNoteRow>();
  #state: BufferState | undefined;
  #epoch: Uint8Array | undefined;
  #isTailSure: boolean;
  #rows = 0;
  #bytes = 0;
  /** Rows below it went again to keep within the quota. */
  #floor = 0;
  #alerts = 0;

  constructor(db: Database, pages: RawPages, options: SalvageOptions) {
    this.#db = db;
    this.#table = new SqliteItemTable(db);
    this.#putItem = db.prepare('INSERT OR IGNORE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#putAlert = db.prepare('INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?)');
    this.#pages = pages;
    this.#options = options;
    this.#deadlineMs = options.nowMs() + (options.limitMs ?? SALVAGE_MS_MAX);
    this.#isTailSure = options.isTailSure;
    this.#catalogue = new SalvagedCatalogue(options.mark);
  }

  run(): SalvageReport {
    this.#findEpoch();
    this.#db.exec('BEGIN IMMEDIATE');
    const isComplete = this.#scan();
    this.#dropReplaced();
    this.#catalogue.putInto(this.#table);
    for (const row of this.#statuses.values()) this.#table.alerts.putStatus(statusOfRow(row)!);
    for (const row of this.#ruleNotes.values()) this.#table.putRuleNote(ruleNoteOfRow(row)!);
    const { state, declared } = this.#account();
    this.#table.putState(state);
    this.#table.commit();
    const core = new BufferCore(this.#table, this.#options.quotaBytes, state.epoch);
    core.declare(declared);
    return {
      epoch: this.#epoch,
      items: state.itemsStored,
      readings: state.readingsStored,
      ...this.#catalogue.sizes,
      alerts: this.#alerts,
      isComplete,
      declared,
    };
  }

  /** The counters of the last commit that can be read, and which epoch the rows are of. */
  #findEpoch(): void {
    const { known, mark } = this.#options;
    const frames = this.#pages.log?.frames ?? [];
    const lastBegin = frames.findLastIndex((frame, at) => frame.isCommit && at < frames.length - 1) + 1;
    const inLog = stateInLog(this.#pages, 0, frames.length);
    const inFile = stateInFile(this.#pages);
    const found = [inLog?.state, inFile].filter((state) => state !== undefined);
    const ofMark = mark === undefined ? undefined : found.find((state) => isSameEpoch(state.epoch, mark.epoch));
    this.#state = known ?? ofMark ?? found[0];
    this.#epoch = this.#state?.epoch ?? mark?.epoch;
    const isNewest = frames.length === 0 ? inFile !== undefined : inLog !== undefined && inLog.frame >= lastBegin;
    this.#isTailSure = known !== undefined || (this.#isTailSure && isNewest && this.#state === found[0]);
  }

  /** False when time ran out. */
  #scan(): boolean {
    const { pages } = this.#pages;
    for (const page of this.#pages.pagesOfLog) this.#takePage(page);
    for (let page = 1; page <= pages; page++) {
      if (page % PAGES_PER_LOOK === 0 && this.#options.nowMs() > this.#deadlineMs) return false;
      this.#takePage(page);
    }
    return true;
  }

  /** A row may have come to light again that was thinned: what was kept of it is in the item that took its place. */
  #dropReplaced(): void {
    for (let from = 1; ; ) {
      const headers = this.#table.headers(from, Number.MAX_SAFE_INTEGER, 256);
      for (const { kind, sequence } of headers) {
        if (kind !== THINNED_BATCH) continue;
        const [{ body }] = this.#table.items(sequence, 1, 1);
        for (const { epoch, first, last } of decodeThinnedBatch(body).replaced) {
          if (this.#epoch !== undefined && isSameEpoch(epoch, this.#epoch)) this.#table.deleteRange(first, last);
        }
      }
      if (headers.length < 256) return;
      from = headers.at(-1)!.sequence + 1;
    }
  }

  #takePage(page: number): void {
    for (const { image, frames } of this.#pages.images(page)) {
      for (const row of rowsOfPage(image, page, (number) => this.#pages.page(number, frames))) this.#takeRow(row);
    }
  }

  /**
   * Rows of all tables look different from each other. What was to be done about alerts is left behind: an image of the row
   * from before it was done looks like one that is still to be done, and nothing may be done twice.
   */
  #takeRow({ rowId, values }: RawRow): void {
    const kinds = values.map((value) =>
      value === null ? '0' : Buffer.isBuffer(value) ? 'b' : typeof value === 'string' ? 's' : 'n',
    );
    const shape = kinds.join('');
    if (shape === '0nnnnb' || shape === '0nnnnbn')
      this.#takeItem(rowId, values as [null, number, number, number, number, Buffer, number?]);
    else if (shape === '0bnn') this.#takeAlert(rowId, values as [null, Buffer, number, number]);
    else if (shape === '0ssnbn') this.#takeStatus([rowId, ...values.slice(1)] as unknown as StatusRow);
    else if (shape === '0ssn') this.#takeRuleNote([rowId, ...values.slice(1)] as unknown as RuleNoteRow);
    else this.#catalogue.take(rowId, shape, values);
  }

  #takeItem(sequence: number, values: [null, number, number, number, number, Buffer, number?]): void {
    const [, kind, checksum, readings, readingsBefore, body, isProtected] = values;
    const { known } = this.#options;
    if (
      this.#epoch === undefined ||
      sequence <= this.#floor ||
      sequence > (known?.highestSequence ?? Number.MAX_SAFE_INTEGER)
    )
      return;
    if (!isWithin(kind, 0xff) || !isWithin(readings, 0xffff_ffff) || !isWithin(readingsBefore, Number.MAX_SAFE_INTEGER))
      return;
    if (itemChecksum(this.#epoch, sequence, kind, readings, readingsBefore, body) !== checksum) return;
    const { changes } = this.#putItem.run(
      sequence,
      kind,
      checksum,
      readings,
      readingsBefore,
      body,
      isProtected === 1 ? 1 : 0,
    );
    if (changes === 0) return;
    if (this.#options.mark === undefined) this.#catalogue.noteIds(kind, body);
    this.#bytes += rowBytes(body.length);
    if (this.#bytes > this.#options.quotaBytes) this.#dropOldest();
    if (++this.#rows % CHUNK_ROWS === 0) this.#db.exec('COMMIT; BEGIN IMMEDIATE');
  }

  /** More may come to light than was in use. The oldest have most likely gone up; they are declared like what is missing. */
  #dropOldest(): void {
    const headers = this.#table.headers(1, Number.MAX_SAFE_INTEGER, SLICE_ROWS);
    for (const { bodyBytes } of headers) this.#bytes -= rowBytes(bodyBytes);
    this.#floor = headers.at(-1)!.sequence;
    this.#table.deleteRange(1, this.#floor);
  }

  #takeAlert(rowId: number, [, incidentId, state, number]: [null, Buffer, number, number]): void {
    if (
      rowId < 1 ||
      this.#alerts >= ALERTS_MAX ||
      incidentId.length === 0 ||
      incidentId.length > 64 ||
      !isWithin(state, 0xff)
    )
      return;
    if (!isWithin(number, Number.MAX_SAFE_INTEGER)) return;
    this.#alerts += this.#putAlert.run(rowId, incidentId, state, number).changes;
  }

  /** Each change of a status has a higher id, so the newest image tells. */
  #takeStatus(row: StatusRow): void {
    const [id, name] = row;
    if (statusOfRow(row) !== undefined && id > (this.#statuses.get(name)?.[0] ?? 0)) this.#statuses.set(name, row);
  }

  /** A note that was forgotten may come to light again: its rule is gone then, and what it says is ended once more. */
  #takeRuleNote(row: RuleNoteRow): void {
    const [id, name] = row;
    if (ruleNoteOfRow(row) !== undefined && id > (this.#ruleNotes.get(name)?.[0] ?? 0)) this.#ruleNotes.set(name, row);
  }

  /** The counters of the new file, and what has to be declared. */
  #account(): { state: BufferState; declared: LedgerEntry[] } {
    const { mark, newEpoch } = this.#options;
    const epoch = this.#epoch;
    if (epoch === undefined) return { state: freshState(newEpoch()), declared: [] };
    const before = this.#state ?? freshState(epoch);
    const marked = mark !== undefined && isSameEpoch(mark.epoch, epoch) ? mark : undefined;
    const gaps = new GapList(epoch);
    const counts = { itemsStored: 0, readingsStored: 0, bytesStored: 0 };
    for (let from = 1; ; ) {
      const headers = this.#table.headers(from, Number.MAX_SAFE_INTEGER, 256);
      for (const header of headers) {
        gaps.until(header.sequence, header.readingsBefore, header.sequence - 1 <= this.#floor || gaps.sequence === 0);
        gaps.reach(header.sequence, header.readingsBefore + header.readings);
        counts.itemsStored++;
        counts.readingsStored += header.readings;
        counts.bytesStored += rowBytes(header.bodyBytes);
      }
      if (headers.length < 256) break;
      from = headers.at(-1)!.sequence + 1;
    }
    const highest = Math.max(
      before.highestSequence,
      before.reservedSequence,
      marked?.highestSequence ?? 0,
      gaps.sequence,
    );
    const produced = Math.max(
      before.readingsProduced + before.reservedReadings,
      marked?.readingsProduced ?? 0,
      gaps.readings,
    );
    gaps.until(highest + 1, produced, !this.#isTailSure);
    gaps.reach(highest, produced);
    const state = { ...before, ...counts, inDoubt: [], reservedSequence: 0, reservedReadings: 0 };
    const isExact = this.#isTailSure && highest === before.highestSequence;
    const reserved = isExact
      ? undefined
      : (marked ?? reservedAbove({ ...before, highestSequence: highest, readingsProduced: produced }));
    state.highestSequence = Math.max(highest, reserved?.reservedSequence ?? 0);
    state.readingsProduced = Math.max(produced, reserved?.reservedReadings ?? 0);
    // What was only reserved counts with its bound in all that follows, as the block of a crash does.
    gaps.until(state.highestSequence + 1, state.readingsProduced, true, CRASH_WINDOW);
    return { state: { ...state, isSending: true, isSuspect: true }, declared: gaps.entries };
  }
}
