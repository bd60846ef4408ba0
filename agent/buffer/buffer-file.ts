import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import Database from 'better-sqlite3';
import type { BufferState } from './item-table.js';
import { PAGE_BYTES } from './row-size.js';
import { APPLICATION_ID, MIGRATIONS } from './schema.js';
import { DamagedBufferError, readState, restampState } from './sqlite-item-table.js';

/** Pages in the log before they are moved to the database. Measured, see docs/BUFFER.md. */
const CHECKPOINT_PAGES = 256;
/** Pages beyond the quota for quarantine, catalogue, alerts and inner pages: 4 MiB. */
const SPARE_PAGES = (4 << 20) / PAGE_BYTES;
/** The quota counts rows; the inner pages over the shortest rows add a fifteenth. */
const PAGES_PER_QUOTA_PAGE = 1.1;
/** A predecessor that was just killed may need a moment to vanish; a second agent must hear so within two seconds. */
const LOCK_WAIT_MS = 1_000;
/** The newest two damaged files are kept for a person. */
const ASIDE_SUFFIXES = ['.damaged-1', '.damaged-2'] as const;

export interface OpenedFile {
  db: Database.Database;
  opened: 'clean' | 'created' | 'recovered';
  /** Counters of the file that was moved aside, where they could be read. */
  lost: BufferState | undefined;
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
 * Throws a `TributaryError` `unsupported` for a file of a newer version, and what SQLite throws when the disk fails.
 */
export function openBufferFile(path: string, quotaBytes: number): OpenedFile {
  const created = !existsSync(path);
  try {
    return { db: openDatabase(path, quotaBytes), opened: created ? 'created' : 'clean', lost: undefined };
  } catch (error) {
    if (!isDamage(error)) throw error;
    return replaceBufferFile(path, quotaBytes);
  }
}

/** Moves the file aside and creates a new one. It must not be open. */
export function replaceBufferFile(path: string, quotaBytes: number): OpenedFile {
  const lost = salvageState(path);
  moveAside(path);
  return { db: openDatabase(path, quotaBytes), opened: 'recovered', lost };
}

/** Whether the error says that the file's content is wrong, not that the disk fails. */
export function isDamage(error: unknown): boolean {
  if (error instanceof DamagedBufferError) return true;
  return isSqliteError(error) && (error.code.startsWith('SQLITE_CORRUPT') || error.code === 'SQLITE_NOTADB');
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
    db.pragma('cache_size = -512');
    db.pragma(`max_page_count = ${Math.ceil((quotaBytes / PAGE_BYTES) * PAGES_PER_QUOTA_PAGE) + SPARE_PAGES}`);
    migrate(db, version);
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
  if (version === 1) restampState(db);
  db.pragma(`user_version = ${MIGRATIONS.length}`);
  db.exec('COMMIT');
}

/** The counters of a file that is about to be moved aside. Whatever goes wrong here is what it is moved aside for. */
function salvageState(path: string): BufferState | undefined {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { fileMustExist: true });
    db.pragma('locking_mode = EXCLUSIVE');
    if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) return undefined;
    return readState(db);
  } catch {
    return undefined;
  } finally {
    db?.close();
  }
}

function moveAside(path: string): void {
  const [newest, older] = ASIDE_SUFFIXES;
  // The database before its log: a crash in between leaves a log without a database, which SQLite removes.
  for (const part of ['', '-wal', '-shm', '-journal']) {
    if (existsSync(`${path}${newest}${part}`)) renameSync(`${path}${newest}${part}`, `${path}${older}${part}`);
    else rmSync(`${path}${older}${part}`, { force: true });
    if (existsSync(`${path}${part}`)) renameSync(`${path}${part}`, `${path}${newest}${part}`);
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
