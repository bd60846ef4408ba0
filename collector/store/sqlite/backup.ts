import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import Database from 'better-sqlite3';
import { StoreError } from '../store-error.js';
import { Auditor } from './audit.js';
import { isStore, lockStore, openReader, openWriter } from './schema.js';
import { toStoreError } from './sqlite-errors.js';

/**
 * Added to each device's counters of starts and of alerts when its store is put back: more than were given after any
 * backup that is worth restoring, so that none is given twice.
 */
const RESTORED_STARTS = 2 ** 20 * 1_000_000;
const RESTORED_ALERTS = 1_000_000;

/** What a copy holds, as its audit says. */
export interface Copied {
  epochs: EpochAudit[];
}

/**
 * Copies a store into one file while a collector writes to it: everything that was committed before, and nothing of what
 * comes after. The writer is not held up; its log grows meanwhile. The copy is read back whole before it gets its name.
 * Throws a StoreError; what stands at `to` is then as it was.
 */
export function backUp(from: string, to: string): Copied {
  if (isSameFile(from, to)) throw new StoreError('busy', `${to} is the store itself; name another file for the copy`);
  // Renaming would put a file in the place of a device or a folder.
  if (statSync(to, { throwIfNoEntry: false })?.isFile() === false)
    throw new StoreError('busy', `${to} is not a file; name a new file, or an earlier copy to replace`);
  const part = `${to}.part`;
  return attempt(part, () => {
    mkdirSync(dirname(to), { recursive: true });
    rmSync(part, { force: true });
    const copied = copyInto(from, part);
    settle(part, to);
    return copied;
  });
}

/**
 * Puts a backup in the place of a store that is gone. Throws a StoreError when there is a store, when a collector runs on
 * it, or when the backup is not whole.
 */
export function restore(from: string, to: string): Copied {
  if (existsSync(to)) throw new StoreError('busy', `${to} is there; move it aside with its -wal and -shm first`);
  const lock = lockStore(to);
  try {
    // What is left of a store that was moved away must not be taken for the log of this one.
    for (const suffix of ['-wal', '-shm']) {
      if (existsSync(`${to}${suffix}`)) throw new StoreError('busy', `${to}${suffix} is there; move it aside first`);
    }
    const part = `${to}.part`;
    return attempt(part, () => {
      rmSync(part, { force: true });
      const copied = copyInto(from, part);
      // Opening it brings its tables to this version.
      const db = openWriter(part);
      try {
        db.prepare('UPDATE devices SET fencing_token = fencing_token + ?, alert_number = alert_number + ?').run(
          RESTORED_STARTS,
          RESTORED_ALERTS,
        );
        // All of it into the one file that gets the name.
        db.pragma('wal_checkpoint(TRUNCATE)');
        db.pragma('journal_mode = DELETE');
      } finally {
        db.close();
      }
      settle(part, to);
      return copied;
    });
  } finally {
    lock.close();
  }
}

/** By whatever names: a store that is replaced under its collector takes along all that is committed from then on. */
function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** Writes what a store holds at this moment into a new file, in one read, and reads that back. */
function copyInto(from: string, part: string): Copied {
  // Opening would make it.
  if (!existsSync(from)) throw new StoreError('corrupt', `${from} is not there`);
  const reader = openReader(from);
  try {
    if (!isStore(reader)) throw new StoreError('corrupt', `${from} is no store of a collector`);
    // The target is another database, which query_only forbids as well.
    reader.pragma('query_only = OFF');
    reader.prepare('VACUUM INTO ?').run(part);
  } finally {
    reader.close();
  }
  return verify(part);
}

/** Reads all of a copy: SQLite's own check, then every stored item against its checksum. */
function verify(path: string): Copied {
  const db = new Database(path, { readonly: true });
  try {
    const [found] = db.pragma('integrity_check(1)') as { integrity_check: string }[];
    if (found.integrity_check !== 'ok')
      throw new StoreError('corrupt', `the copy is damaged: ${found.integrity_check}`);
    const auditor = new Auditor(db);
    const epochs = auditor.listEpochs(undefined).map(([device, epoch]) => auditor.auditEpoch(device, epoch));
    return { epochs };
  } finally {
    db.close();
  }
}

/** Makes a whole file durable, then gives it its name: whoever looks finds the old file or the new one. */
function settle(part: string, to: string): void {
  sync(part);
  renameSync(part, to);
  sync(dirname(to));
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function attempt(part: string, copy: () => Copied): Copied {
  try {
    return copy();
  } catch (error) {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${part}${suffix}`, { force: true });
    throw toStoreError(error) ?? error;
  }
}
