import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import Database from 'better-sqlite3';
import type { BufferIdentity } from './buffer.js';
import type { BufferState } from './item-table.js';
import { FRAME_BYTES } from './log-file.js';
import { checkBeforeOpening, type OpenCheck } from './open-check.js';
import { PAGE_BYTES } from './row-size.js';
import { SALVAGE_MS_MAX, type SalvageReport, salvage } from './salvage.js';
import { APPLICATION_ID, hasTables, MIGRATIONS } from './schema.js';
import { DamagedBufferError, readState, restamp } from './sqlite-item-table.js';

/** Pages in the log before they are moved to the database. Measured, see docs/BUFFER.md. */
const CHECKPOINT_PAGES = 256;
/** The log's length from the start on: the pages of a checkpoint and of the transaction that goes beyond it. */
const LOG_BYTES = 32 + (CHECKPOINT_PAGES + 64) * FRAME_BYTES;
/** Pages beyond the quota for quarantine, catalogue, alerts and inner pages: 4 MiB. */
const SPARE_PAGES = (4 << 20) / PAGE_BYTES;
/** The quota counts rows; the inner pages over the shortest rows add a fifteenth. */
const PAGES_PER_QUOTA_PAGE = 1.1;
/** A predecessor that was just killed may need a moment to vanish; a second agent must hear so within two seconds. */
const LOCK_WAIT_MS = 600;
/** The newest two damaged files are kept for a person. */
export const ASIDE_SUFFIXES = ['.damaged-1', '.damaged-2'] as const;
/** What is made of a damaged file, until it is whole, and until it has its place. */
const SALVAGING = '-salvaging';
const SALVAGED = '-salvaged';
/** A database and what SQLite puts beside it; the database first. */
const PARTS = ['', '-wal', '-shm', '-journal'] as const;

export interface OpenedFile {
  db: Database.Database;
  opened: BufferIdentity['opened'];
  /** What the bytes said before the file was opened. */
  check: OpenCheck;
  /** Of the file that was moved aside. */
  salvaged: SalvageReport | undefined;
}

/** What a salvage needs beside the file. */
export interface OpenOptions {
  newEpoch?: (() => Uint8Array) | undefined;
  /** Monotonic, in milliseconds. */
  nowMs?: (() => number) | undefined;
  salvageMsMax?: number | undefined;
  /** The counters, where this process has used the file before. */
  known?: Readonly<BufferState> | undefined;
}

/**
 * Takes the buffer's lock for as long as the connection is open or the process lives; a kill releases it. The lock is a
 * database of its own, since SQLite's locks are what every platform that it runs on has.
 * Throws a `TributaryError`: `busy` when another agent has it.
 */
export function lockBuffer(path: string): Database.Database {
  mkdirSync(dirname(path), { recursive: true });
  const db = new Database(`${path}-lock`, { timeout: LOCK_WAIT_MS });
  try {
    db.pragma('journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db.close();
    if (!isSqliteError(error) || !error.code.startsWith('SQLITE_BUSY')) throw error;
    throw new TributaryError(
      'busy',
      `${path}: another agent has this buffer open; stop it, or give this one a buffer of its own`,
      { cause: error },
    );
  }
}

/**
 * Opens the buffer's database, creating it or moving a damaged or foreign file aside. The lock must be held.
 * Throws a `TributaryError` `unsupported` for a file of a newer version or what is no file, and what SQLite throws when the disk fails.
 */
export function openBufferFile(path: string, quotaBytes: number, options: OpenOptions = {}): OpenedFile {
  assertIsFile(path);
  finishReplacement(path);
  const check = checkBeforeOpening(path);
  if (check.damage !== undefined) return replaceBufferFile(path, quotaBytes, options, check);
  const isNew = !existsSync(path);
  try {
    const db = openDatabase(path, quotaBytes);
    return { db, opened: isNew ? 'created' : check.wasClosed ? 'clean' : 'unclean', check, salvaged: undefined };
  } catch (error) {
    if (!isDamageAtOpening(error)) throw error;
    return replaceBufferFile(path, quotaBytes, options);
  }
}

/**
 * Makes a new file of what can be verified of the old one, moves the old one aside and puts the new one in its place. It must
 * not be open.
 */
export function replaceBufferFile(
  path: string,
  quotaBytes: number,
  options: OpenOptions = {},
  check = checkBeforeOpening(path),
): OpenedFile {
  const target = `${path}${SALVAGING}`;
  for (const part of PARTS) rmSync(`${target}${part}`, { force: true });
  const into = openDatabase(target, quotaBytes);
  let salvaged: SalvageReport;
  try {
    const { mark, isTailSure, isLogForeign } = check;
    // Its rows prove themselves by their epoch; its counters and its pages cannot.
    const log = isLogForeign ? undefined : check.log;
    const { known, newEpoch = () => randomBytes(EPOCH_BYTES), nowMs = () => performance.now() } = options;
    const limitMs = options.salvageMsMax ?? SALVAGE_MS_MAX;
    salvaged = salvage(into, { path, log, mark, isTailSure, known, quotaBytes, newEpoch, nowMs, limitMs });
    // All of it into the one file that gets the name. Closing would do that too, but not say when the disk has refused it.
    into.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    into.close();
  }
  // Under this name it is whole, whenever the process ends.
  renameSync(target, `${path}${SALVAGED}`);
  moveAside(path);
  renameSync(`${path}${SALVAGED}`, path);
  flushDirectory(path);
  return { db: openDatabase(path, quotaBytes), opened: 'recovered', check, salvaged };
}

/** A folder is somebody's, whatever stands in the configuration: it is not moved aside. */
function assertIsFile(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isFile()) return;
  const what = found.isDirectory() ? 'a folder' : 'no file';
  throw new TributaryError(
    'unsupported',
    `${path}: it is ${what}; name the buffer's file, which is made if it is not there`,
  );
}

/** A start that ended between the renamings has left the new file beside an empty place. */
function finishReplacement(path: string): void {
  if (!existsSync(`${path}${SALVAGED}`)) return;
  if (existsSync(path)) {
    rmSync(`${path}${SALVAGED}`);
    return;
  }
  // What is in the old log is in the new file.
  for (const part of PARTS.slice(1)) {
    if (existsSync(`${path}${part}`)) renameSync(`${path}${part}`, `${path}${ASIDE_SUFFIXES[0]}${part}`);
  }
  renameSync(`${path}${SALVAGED}`, path);
  flushDirectory(path);
}

/**
 * Makes the log as long as it is going to be, so that a later look can tell that it was cut off, and answers its length and
 * the salt that counts its restarts. The first transaction must have been written. Throws what the file system throws.
 */
export function settleLog(path: string, db: Database.Database): { logBytes: number; logSalt: number } {
  // Into the database with it: what says that the buffer is open must not be lost with the log.
  db.pragma('wal_checkpoint(FULL)');
  // Another descriptor of the log does no harm: SQLite's locks are on the database.
  const log = openSync(`${path}-wal`, 'r+');
  try {
    if (fstatSync(log).size < LOG_BYTES) {
      ftruncateSync(log, LOG_BYTES);
      fsyncSync(log);
    }
    const salt = Buffer.alloc(4);
    readSync(log, salt, 0, salt.length, 16);
    return { logBytes: LOG_BYTES, logSalt: salt.readUInt32BE(0) };
  } finally {
    closeSync(log);
  }
}

/** Whether the error says that the file's content is wrong, not that the disk fails. */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedBufferError) return true;
  return isSqliteError(error) && (error.code.startsWith('SQLITE_CORRUPT') || error.code === 'SQLITE_NOTADB');
}

/** While a file is being opened, whatever SQLite cannot make sense of is damage: a table without its column, for one. */
export function isDamageAtOpening(error: unknown): boolean {
  return isDamage(error) || (isSqliteError(error) && !isStorageFailure(error));
}

/** Whether a file system or disk refused, as opposed to a bug. */
export function isStorageFailure(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return isSqliteError(error) && /^SQLITE_(FULL|IOERR|CANTOPEN|READONLY|BUSY|PROTOCOL|NOMEM)/.test(error.code);
}

function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

function openDatabase(path: string, quotaBytes: number): Database.Database {
  const db = new Database(path);
  try {
    // Exclusive, before the log is first used: there is no shared-memory file then, which a full disk would refuse.
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma(`page_size = ${PAGE_BYTES}`);
    const version = versionOf(db, path);
    const mode = db.pragma('journal_mode = WAL', { simple: true });
    if (mode !== 'wal') throw new TributaryError('unsupported', `${path}: this file system has no write-ahead log`);
    db.pragma('synchronous = FULL');
    db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    // Never shorter than it is made at the start, so that a log that was cut off is seen.
    db.pragma(`journal_size_limit = ${LOG_BYTES}`);
    db.pragma('cache_size = -512');
    db.pragma(`max_page_count = ${Math.ceil((quotaBytes / PAGE_BYTES) * PAGES_PER_QUOTA_PAGE) + SPARE_PAGES}`);
    migrate(db, version);
    // Damage to the number of the version, or to a column's name, would else be met when an alert or a damaged row comes.
    if (!hasTables(db)) throw new DamagedBufferError('its tables are not those of a buffer');
    readState(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The schema's version, 0 for an empty file. Nothing is written before it is known whose file this is. */
function versionOf(db: Database.Database, path: string): number {
  const version = db.pragma('user_version', { simple: true }) as number;
  const applicationId = db.pragma('application_id', { simple: true });
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
  if (tables === 0 && version === 0) return 0;
  if (applicationId !== APPLICATION_ID) throw new DamagedBufferError('it is not a buffer');
  if (version <= MIGRATIONS.length) return version;
  throw new TributaryError(
    'unsupported',
    `${path}: written by a newer agent (buffer version ${version}, this one knows up to ${MIGRATIONS.length}); ` +
      'install that version again, or give this one another buffer',
  );
}

function migrate(db: Database.Database, version: number): void {
  if (version === MIGRATIONS.length) return;
  db.exec('BEGIN IMMEDIATE');
  db.pragma(`application_id = ${APPLICATION_ID}`);
  for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
  if (version === 1) restamp(db);
  db.pragma(`user_version = ${MIGRATIONS.length}`);
  db.exec('COMMIT');
}

function moveAside(path: string): void {
  const [newest, older] = ASIDE_SUFFIXES;
  // The database before its log: a crash in between leaves a log without a database, which SQLite removes.
  for (const part of PARTS) {
    if (existsSync(`${path}${newest}${part}`)) renameSync(`${path}${newest}${part}`, `${path}${older}${part}`);
    else rmSync(`${path}${older}${part}`, { force: true });
    if (existsSync(`${path}${part}`)) renameSync(`${path}${part}`, `${path}${newest}${part}`);
  }
  flushDirectory(path);
}

function flushDirectory(path: string): void {
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
