import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { BufferCore } from './buffer-core.js';
import { type HighWaterMark, readMark, reservedAbove } from './high-water-mark.js';
import type { BufferState } from './item-table.js';
import { isBroken, type LogFile, readLog } from './log-file.js';
import { CORRUPT, CRASH_WINDOW } from './loss-entries.js';
import { RawPages } from './raw-pages.js';
import { isSameEpoch, stateInFile, stateInLog } from './raw-state.js';
import { PAGE_BYTES } from './row-size.js';
import { APPLICATION_ID, MIGRATIONS } from './schema.js';

/** More restarts of the log than there can be between two marks; the salts of another file's log are 2^32 apart. */
const LOG_RESTARTS_MAX = 1 << 20;

/** What the bytes on the disk say before SQLite is let near them. */
export interface OpenCheck {
  mark: HighWaterMark | undefined;
  /** Undefined where there is none. */
  log: LogFile | undefined;
  /** Why the file must be salvaged and not opened; undefined where SQLite may try. */
  damage: string | undefined;
  /** The log belongs to another file, or to an earlier time of this one: only rows that prove themselves are taken. */
  isLogForeign: boolean;
  /** Nothing that was committed can be missing at the end. */
  isTailSure: boolean;
  /** The database was closed in order, or never opened. */
  wasClosed: boolean;
}

/**
 * Compares the database, its log and its mark. SQLite believes any log whose checksums are right, replays an older one over
 * newer pages, and takes the first broken frame for the log's end; each of that is found here. Only reads; the file
 * must not be open.
 */
export function checkBeforeOpening(path: string): OpenCheck {
  const mark = readMark(path);
  const log = readLog(`${path}-wal`);
  const pages = new RawPages(path, log);
  try {
    return { mark, log, ...judge(pages, mark) };
  } finally {
    pages.close();
  }
}

/** Whether anything says that this is or was a buffer: its mark, or the header of its database. */
export function isBuffer(path: string, mark = readMark(path)): boolean {
  if (mark !== undefined) return true;
  const pages = new RawPages(path, undefined);
  try {
    const page = pages.pageOfFile(1);
    return page !== undefined && hasMagic(page) && page.readUInt32BE(68) === APPLICATION_ID;
  } finally {
    pages.close();
  }
}

function judge(pages: RawPages, mark: HighWaterMark | undefined): Omit<OpenCheck, 'mark' | 'log'> {
  const { log } = pages;
  const inFile = stateInFile(pages);
  const inLog = stateInLog(pages, 0, log?.framesValid ?? 0)?.state;
  const hasFrames = log !== undefined && log.frames.length > 0;
  const verdict = { damage: undefined, isLogForeign: false, isTailSure: true, wasClosed: inFile?.isClosed ?? true };
  if (pages.pages === 0) {
    if (mark === undefined && !hasFrames) return verdict;
    return { ...verdict, damage: 'the database is gone', isTailSure: isWhole(log, mark), wasClosed: false };
  }
  // Until the first checkpoint the file's own first page is an empty database's.
  const header = hasMagic(pages.pageOfFile(1)!) ? headerDamage(pages.page(1, log?.framesValid)!, mark) : NO_DATABASE;
  const isForeign = hasFrames && isOfAnother(log, mark, inFile, inLog);
  const isWholeLog = (inFile?.isClosed === true && !hasFrames) || isWhole(log, mark);
  const isUnclean = hasFrames || inFile?.isClosed === false;
  const common = { isLogForeign: isForeign, isTailSure: isWholeLog && !isForeign, wasClosed: !isUnclean };
  if (header !== undefined) return { ...common, damage: header };
  if (isForeign) return { ...common, damage: 'its log is that of another file or of another time' };
  if (isBroken(log)) return { ...common, damage: 'its log is damaged, with commits behind the damage' };
  if (isUnclean && log !== undefined && log.bytes > 0 && !isWholeLog) {
    return { ...common, damage: 'its log was cut off' };
  }
  const isLogGone = inFile?.isClosed === false && (log === undefined || log.bytes === 0);
  return { ...common, damage: undefined, isTailSure: common.isTailSure && !isLogGone };
}

/** What must be set and declared because the end of the file is missing. */
export interface LostTail {
  change: Partial<BufferState>;
  entries: LedgerEntry[];
}

/**
 * Whether the file is behind what the mark or this process know of it: sequences that may have been used are not used
 * again. `previous`: the counters that this process had, which are exact.
 */
export function lostTail(
  state: Readonly<BufferState>,
  check: OpenCheck | undefined,
  previous: Readonly<BufferState> | undefined,
): LostTail | undefined {
  const { epoch, highestSequence, readingsProduced } = state;
  const mark = check?.mark !== undefined && isSameEpoch(check.mark.epoch, epoch) ? check.mark : undefined;
  const isKnown = previous !== undefined || mark?.isOpen === false;
  const reached = previous ?? mark;
  // What was reserved on the disk may have been used in memory alone; whoever reserved it declares it.
  const used = Math.max(highestSequence, state.reservedSequence);
  const isBehind = reached !== undefined && used < reached.highestSequence;
  if (!isBehind && (check === undefined || check.isTailSure)) return undefined;
  const above = isKnown
    ? { reservedSequence: reached!.highestSequence, reservedReadings: reached!.readingsProduced }
    : (mark ?? reservedAbove(state));
  const last = Math.max(highestSequence, above.reservedSequence);
  const end = Math.max(readingsProduced, above.reservedReadings);
  const change: Partial<BufferState> = { highestSequence: last, readingsProduced: end };
  if (previous === undefined) change.isSuspect = true;
  const readings = end - readingsProduced;
  const lost = {
    epoch,
    first: highestSequence + 1,
    last,
    readings,
    bound: !isKnown,
    reason: isKnown ? CORRUPT : CRASH_WINDOW,
  };
  return { change, entries: last > highestSequence ? [lost] : [] };
}

/** Reads every row, which sets those aside that fail, until the time is up. */
export function checkEveryRow(core: Pick<BufferCore, 'check'>, nowMs: () => number, limitMs: number): void {
  const deadlineMs = nowMs() + limitMs;
  for (let from: number | undefined = 1; from !== undefined && nowMs() <= deadlineMs; ) from = core.check(from);
}

/** The log is as long as it was made when the file was opened, and still has a header or frames to tell by. */
function isWhole(log: LogFile | undefined, mark: HighWaterMark | undefined): boolean {
  if (mark === undefined || !mark.isOpen) return true;
  return (log?.bytes ?? 0) >= mark.logBytes && (mark.logSalt === 0 || log?.salt !== undefined);
}

function isOfAnother(
  log: LogFile,
  mark: HighWaterMark | undefined,
  inFile: BufferState | undefined,
  inLog: BufferState | undefined,
): boolean {
  if (mark?.isOpen === true && log.salt !== undefined && mark.logSalt !== 0) {
    if ((log.salt - mark.logSalt) >>> 0 > LOG_RESTARTS_MAX) return true;
  }
  if (inFile === undefined) return false;
  // Each transaction of a buffer writes its counters.
  if (inLog === undefined) return log.framesValid > 0;
  if (isSameEpoch(inLog.epoch, inFile.epoch)) return inLog.highestSequence < inFile.highestSequence;
  // A new epoch stands in the mark before it stands in the log.
  return mark === undefined || !isSameEpoch(inLog.epoch, mark.epoch);
}

const NO_DATABASE = 'it is no database';
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
/** Offsets of the header's fields that are always the same here (SQLite's file format, section 1.3). */
const FIXED_FIELDS: readonly [offset: number, bytes: number, values: readonly number[]][] = [
  [16, 2, [PAGE_BYTES]],
  // Written by the log's mode; a flipped bit makes SQLite take the file for one that may only be read.
  [18, 1, [1, 2]],
  [19, 1, [1, 2]],
  [20, 4, [0x00402020]],
  [44, 4, [0, 1, 2, 3, 4]],
  // A file that is taken for one with automatic vacuum is overwritten in places.
  [52, 4, [0]],
  [56, 4, [0, 1]],
  [64, 4, [0]],
  [68, 4, [APPLICATION_ID]],
];

function hasMagic(page: Buffer): boolean {
  return page.length >= 100 && page.compare(MAGIC, 0, MAGIC.length, 0, MAGIC.length) === 0;
}

function headerDamage(page: Buffer, mark: HighWaterMark | undefined): string | undefined {
  if (!hasMagic(page)) return NO_DATABASE;
  const version = page.readUInt32BE(60);
  if (version > MIGRATIONS.length && !isFlipped(version, mark)) return undefined;
  if (version > MIGRATIONS.length) return 'the number of its version is damaged';
  for (const [offset, bytes, values] of FIXED_FIELDS) {
    if (!values.includes(page.readUIntBE(offset, bytes))) return `the header is wrong at byte ${offset}`;
  }
  return undefined;
}

/** One bit away from this version, which the mark says it is. A newer agent would have written its own. */
function isFlipped(version: number, mark: HighWaterMark | undefined): boolean {
  const changed = version ^ MIGRATIONS.length;
  return mark?.schemaVersion === MIGRATIONS.length && (changed & (changed - 1)) === 0;
}
