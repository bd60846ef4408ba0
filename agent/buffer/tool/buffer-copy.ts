import { closeSync, copyFileSync, existsSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { ASIDE_SUFFIXES, type OpenedFile, openBufferFile } from '../buffer-file.js';
import { markPath, readMark } from '../high-water-mark.js';
import { isBuffer } from '../open-check.js';
import { SqliteItemTable } from '../sqlite-item-table.js';

/** An agent moves its log into the database each few minutes at the most; a copy takes a moment. */
const ATTEMPTS_MAX = 10;
/** A copy is read and thrown away: its quota limits nothing. */
const QUOTA_BYTES = 2 ** 40;

/** A copy of a buffer, open for reading. What it says of itself is what the bytes of the original said. */
export interface BufferCopy {
  file: OpenedFile;
  table: SqliteItemTable;
}

/**
 * Runs `use` on a copy of a buffer's files, and removes it. The files themselves are only read, never through SQLite: the
 * agent that may be running has them for itself. A damaged file is salvaged, in the copy. Throws a `TributaryError` `usage`
 * when there is no such buffer or nothing says that the file is one, and `busy` when the agent kept writing while it was copied.
 */
export function withCopy<T>(path: string, use: (copy: BufferCopy) => T): T {
  if (!existsSync(path)) {
    throw new TributaryError(
      'usage',
      `${path}: there is no buffer; name the file of an agent with --path, or its --config`,
    );
  }
  const folder = mkdtempSync(join(tmpdir(), 'tributary-buffer-'));
  try {
    const copy = join(folder, 'buffer.db');
    copyBuffer(path, copy);
    const file = openBufferFile(copy, QUOTA_BYTES);
    try {
      if (file.salvaged?.items === 0 && !isBuffer(path, readMark(liveName(path)))) {
        throw new TributaryError(
          'usage',
          `${path}: nothing says that this is a buffer (${file.check.damage ?? 'it is damaged'}); name the file of an agent`,
        );
      }
      return use({ file, table: new SqliteItemTable(file.db) });
    } finally {
      file.db.close();
    }
  } catch (error) {
    if (error instanceof TributaryError || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new TributaryError('disk', `${path}: cannot be copied to ${tmpdir()}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Why a file had to be salvaged in its copy, with what came of it; undefined where it is sound. */
export function damageOf({ check, salvaged }: OpenedFile): string | undefined {
  if (salvaged === undefined) return undefined;
  return `${check.damage ?? 'the database is damaged'}; ${salvaged.items} items can be carried over`;
}

/** The name under which the agent knows the buffer, of which this may be a damaged file that was moved aside. */
export function liveName(path: string): string {
  const suffix = ASIDE_SUFFIXES.find((end) => path.endsWith(end));
  return suffix === undefined ? path : path.slice(0, -suffix.length);
}

function copyBuffer(path: string, copy: string): void {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const before = stampOf(path);
    copyFileSync(path, copy);
    for (const part of ['-wal', '-mark']) rmSync(`${copy}${part}`, { force: true });
    if (existsSync(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    const mark = markPath(liveName(path));
    if (existsSync(mark)) copyFileSync(mark, markPath(copy));
    // Appends only make the log longer. What must not come in between is that the log is moved into the database.
    if (stampOf(path) === before) return;
  }
  throw new TributaryError('busy', `${path}: the agent writes faster than the buffer can be copied; try again`);
}

/** The same as long as database and log belong together as before. */
function stampOf(path: string): string {
  const { mtimeMs, size } = statSync(path);
  const salts = Buffer.alloc(8);
  if (existsSync(`${path}-wal`)) {
    const log = openSync(`${path}-wal`, 'r');
    try {
      readSync(log, salts, 0, salts.length, 16);
    } finally {
      closeSync(log);
    }
  }
  return `${mtimeMs} ${size} ${salts.toString('hex')}`;
}
