import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { StoreError } from '../store-error.js';
import { INCIDENT_MIGRATION } from './incident-migration.js';
import { toStoreError } from './sqlite-errors.js';

/** "TrbS": tells `file` and us that a database is a Tributary store. */
const APPLICATION_ID = 0x54726253;
/**
 * Measured (`npm run bench -- store`), bytes a reading at rest in 1,000-reading batches of 1,550 B, in 100-reading batches
 * of 230 B, and in such batches one a commit: 4 KiB pages 1.59, 2.57, 3.9; 8 KiB 1.60, 2.67, 4.0; 16 KiB 1.65, 3.49, 4.2.
 * Processor time per item differed by less than the noise.
 */
const PAGE_BYTES = 4096;

/**
 * Page caches, in KiB: enough for the inner index pages and the rows of some ten thousand devices. Blobs pass through.
 */
const WRITER_CACHE_KIB = 16 * 1024;
const READER_CACHE_KIB = 8 * 1024;

/** A checkpoint each 16 MiB of log: pages that many commits touch are then written once. The log stays about as large. */
const CHECKPOINT_BYTES = 16 * 1024 * 1024;

/**
 * The step from each version to the next; the version of a store is how many it has taken. Only ever add to the end: a
 * store may come from any of them. The tables are described, to the column, in docs/STORE.md.
 */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE devices (
  device_id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  start_id BLOB NOT NULL,
  fencing_token INTEGER NOT NULL,
  agent_version TEXT NOT NULL,
  attributes TEXT NOT NULL,
  position INTEGER NOT NULL DEFAULT 0,
  derived_mark INTEGER NOT NULL DEFAULT 0,
  expired_before_us REAL,
  rollups_kept_before INTEGER,
  rollups_kept_position INTEGER NOT NULL DEFAULT 0,
  alert_number INTEGER NOT NULL DEFAULT 0,
  alert_cursor INTEGER NOT NULL DEFAULT 0,
  items_stored INTEGER NOT NULL DEFAULT 0,
  readings_stored INTEGER NOT NULL DEFAULT 0,
  first_seen_us INTEGER NOT NULL,
  last_seen_us INTEGER NOT NULL,
  UNIQUE (tenant, device)
) STRICT;

CREATE TABLE epochs (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  epoch BLOB NOT NULL,
  highest_sequence INTEGER NOT NULL DEFAULT 0,
  highest_checksum INTEGER,
  readings_end INTEGER NOT NULL DEFAULT 0,
  items_stored INTEGER NOT NULL DEFAULT 0,
  readings_stored INTEGER NOT NULL DEFAULT 0,
  duplicates_dropped INTEGER NOT NULL DEFAULT 0,
  said_produced INTEGER NOT NULL DEFAULT 0,
  said_waiting INTEGER NOT NULL DEFAULT 0,
  stored_since_said INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (device_id, epoch_id),
  UNIQUE (device_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE intervals (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY (device_id, epoch_id, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
  series_id INTEGER PRIMARY KEY,
  device_id INTEGER NOT NULL,
  name TEXT NOT NULL,
  unit TEXT NOT NULL,
  labels TEXT NOT NULL,
  type INTEGER NOT NULL,
  UNIQUE (device_id, name, unit, labels, type)
) STRICT;

CREATE TABLE catalogue (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  PRIMARY KEY (device_id, epoch_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  boot_id TEXT NOT NULL,
  offset_us INTEGER NOT NULL,
  observed_at_us INTEGER NOT NULL,
  uncertainty_us INTEGER NOT NULL,
  state INTEGER NOT NULL,
  PRIMARY KEY (device_id, epoch_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunks (
  chunk_id INTEGER PRIMARY KEY,
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  first_sequence INTEGER NOT NULL,
  last_sequence INTEGER NOT NULL,
  position INTEGER NOT NULL,
  span_class INTEGER,
  first_us REAL,
  last_us REAL,
  bytes INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX chunks_by_sequence ON chunks (device_id, epoch_id, first_sequence, last_sequence, position, bytes);
CREATE INDEX chunks_by_position ON chunks (device_id, position);
CREATE INDEX chunks_by_time ON chunks (device_id, span_class, first_us) WHERE span_class IS NOT NULL;

CREATE TABLE ledger (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  reason INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  readings INTEGER NOT NULL,
  bound INTEGER NOT NULL,
  readings_before INTEGER,
  PRIMARY KEY (device_id, epoch_id, reason, first, last)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollups (
  device_id INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  step_seconds INTEGER NOT NULL,
  start INTEGER NOT NULL,
  count INTEGER NOT NULL,
  min REAL NOT NULL,
  max REAL NOT NULL,
  mean REAL,
  m2 REAL,
  first REAL NOT NULL,
  first_us REAL NOT NULL,
  last REAL NOT NULL,
  last_us REAL NOT NULL,
  PRIMARY KEY (device_id, series_id, step_seconds, start)
) STRICT;

CREATE TABLE rule_states (
  device_id INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  rule TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (device_id, series_id, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
  alert_id INTEGER PRIMARY KEY,
  device_id INTEGER NOT NULL,
  number INTEGER NOT NULL,
  series_id INTEGER NOT NULL,
  incident_id BLOB NOT NULL,
  state INTEGER NOT NULL,
  rule TEXT NOT NULL,
  severity TEXT NOT NULL,
  started_at_us REAL NOT NULL,
  transition_at_us REAL NOT NULL,
  late INTEGER NOT NULL,
  message BLOB NOT NULL,
  UNIQUE (device_id, incident_id, state, late)
) STRICT;
CREATE UNIQUE INDEX alerts_by_number ON alerts (device_id, number) WHERE number > 0;
`,
  // What became known of a segment's offset after it was declared.
  `
CREATE TABLE anchors (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  id INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  offset_us INTEGER NOT NULL,
  uncertainty_us INTEGER NOT NULL,
  state INTEGER NOT NULL,
  PRIMARY KEY (device_id, epoch_id, id)
) STRICT, WITHOUT ROWID;
`,
  // What thinned items hold of readings that were produced in an epoch, and of those that have expired (item_epoch_id 0).
  `
CREATE TABLE thinned (
  device_id INTEGER NOT NULL,
  epoch_id INTEGER NOT NULL,
  item_epoch_id INTEGER NOT NULL,
  item_sequence INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  PRIMARY KEY (device_id, epoch_id, item_epoch_id, item_sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX thinned_by_item ON thinned (device_id, item_epoch_id, item_sequence);
`,
  // What a device had in an epoch when it came with it first: only up to there can it have moved items from another one.
  'ALTER TABLE epochs ADD COLUMN moved_up_to INTEGER NOT NULL DEFAULT 0;',
  INCIDENT_MIGRATION,
  // Two buffers have written to it: what is stored of it need not be what either of them has under the same sequence.
  'ALTER TABLE epochs ADD COLUMN is_copied INTEGER NOT NULL DEFAULT 0;',
];

/** An SQL tool that opens or leaves the file holds it for moments; no longer than this may a commit wait for one. */
const BUSY_TIMEOUT_MS = 2_000;

/** Opens the store for writing, creating it where there is none, with every promise about durability asserted. */
export function openWriter(path: string): Database.Database {
  mkdirSync(dirname(path), { recursive: true });
  return open(path, BUSY_TIMEOUT_MS, (db) => {
    db.pragma(`page_size = ${PAGE_BYTES}`);
    db.pragma('auto_vacuum = INCREMENTAL');
    const mode = db.pragma('journal_mode = WAL', { simple: true });
    if (mode !== 'wal') throw new StoreError('io', `the file system of ${path} takes no write-ahead log`);
    // In WAL mode the default is NORMAL, which loses acknowledged commits in a power cut.
    db.pragma('synchronous = FULL');
    db.pragma(`cache_size = ${-WRITER_CACHE_KIB}`);
    prepareSchema(db, path);
    const pageBytes = db.pragma('page_size', { simple: true }) as number;
    db.pragma(`wal_autocheckpoint = ${Math.ceil(CHECKPOINT_BYTES / pageBytes)}`);
    db.pragma(`journal_size_limit = ${2 * CHECKPOINT_BYTES}`);
    const synchronous = db.pragma('synchronous', { simple: true });
    if (synchronous !== 2)
      throw new StoreError('io', `the store is not durable: synchronous is ${synchronous}, not FULL`);
  });
}

/** A store in memory, which ends with its connection: for the simulation, which runs thousands of them. */
export function openMemory(): Database.Database {
  return open(':memory:', BUSY_TIMEOUT_MS, (db) => prepareSchema(db, 'memory'));
}

/** A second connection for queries and audits: it sees whole commits, and the writer never waits for it. */
export function openReader(path: string): Database.Database {
  return open(path, BUSY_TIMEOUT_MS, (db) => {
    db.pragma('query_only = ON');
    db.pragma(`cache_size = ${-READER_CACHE_KIB}`);
  });
}

/**
 * Takes the store for this process until the answer is closed or the process ends, however it ends. The lock lies on a
 * file of its own, so that SQL tools can still read the store.
 */
export function lockStore(path: string): Database.Database {
  mkdirSync(dirname(path), { recursive: true });
  // Whoever holds it holds it for long, so waiting would not help.
  const lock = open(`${path}.lock`, 0, () => {});
  try {
    lock.pragma('journal_mode = DELETE');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    const known = toStoreError(error);
    if (known?.code !== 'busy') throw known ?? error;
    throw new StoreError('busy', `another collector has ${path} open; a store belongs to one collector at a time`);
  }
}

function open(path: string, timeoutMs: number, prepare: (db: Database.Database) => void): Database.Database {
  let db: Database.Database | undefined;
  try {
    db = new Database(path, { timeout: timeoutMs });
    prepare(db);
    return db;
  } catch (error) {
    db?.close();
    throw toStoreError(error) ?? error;
  }
}

/** Whether a database says of itself that it is a store. */
export function isStore(db: Database.Database): boolean {
  return db.pragma('application_id', { simple: true }) === APPLICATION_ID;
}

/** Throws a StoreError when there is no store at `path`, or one whose tables this version does not know or would change. */
export function checkReadable(path: string): void {
  // Opening would make it.
  if (!existsSync(path))
    throw new StoreError('corrupt', `${path}: there is no store; name the SQLite file of a collector`);
  const db = openReader(path);
  try {
    if (!isStore(db)) throw new StoreError('corrupt', `${path} is no store of a collector`);
    const version = db.pragma('user_version', { simple: true }) as number;
    if (version === MIGRATIONS.length) return;
    const remedy =
      version < MIGRATIONS.length ? 'start the collector of this version on it once' : 'use the version that wrote it';
    const versions = `has schema version ${version}, and this is version ${MIGRATIONS.length}`;
    throw new StoreError('corrupt', `${path} ${versions}; ${remedy}`);
  } finally {
    db.close();
  }
}

function prepareSchema(db: Database.Database, path: string): void {
  const application = db.pragma('application_id', { simple: true });
  const version = db.pragma('user_version', { simple: true }) as number;
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number;
  if (tables > 0 && application !== APPLICATION_ID) {
    throw new StoreError('corrupt', `${path} is a database of something else`);
  }
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      'corrupt',
      `${path} has schema version ${version}, this collector knows versions up to ${MIGRATIONS.length}`,
    );
  }
  if (version === MIGRATIONS.length) return;
  db.transaction(() => {
    for (const migration of MIGRATIONS.slice(version)) db.exec(migration);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${MIGRATIONS.length}`);
  }).immediate();
}
