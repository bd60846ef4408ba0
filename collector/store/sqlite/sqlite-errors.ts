import { StoreError } from '../store-error.js';

/** SQLite's result codes, by the beginning of their names, and what an operator should know of them. */
const MEANINGS = [
  ['SQLITE_FULL', 'full', 'no space is left for the store'],
  ['SQLITE_BUSY', 'busy', 'another process holds the store'],
  ['SQLITE_LOCKED', 'busy', 'another process holds the store'],
  ['SQLITE_CORRUPT', 'corrupt', 'the store is damaged'],
  ['SQLITE_NOTADB', 'corrupt', 'the file is no SQLite database'],
  ['SQLITE_IOERR', 'io', 'the disk failed'],
  ['SQLITE_CANTOPEN', 'io', 'the store cannot be opened'],
  ['SQLITE_READONLY', 'io', 'the store cannot be written'],
  ['SQLITE_PERM', 'io', 'the store may not be accessed'],
] as const;

/** The {@link StoreError} that an error of SQLite is; undefined for what is a bug. Sources: sqlite.org/rescode.html. */
export function toStoreError(error: unknown): StoreError | undefined {
  if (error instanceof StoreError) return error;
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const sqliteCode = error.code;
  const meaning = MEANINGS.find(([prefix]) => sqliteCode.startsWith(prefix));
  if (meaning === undefined) return undefined;
  const [, code, text] = meaning;
  return new StoreError(code, `${text} (${sqliteCode}: ${error.message})`, { cause: error });
}
