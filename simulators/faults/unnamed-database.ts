import { closeSync, openSync, writeSync } from 'node:fs';

/** Where a database says what wrote it (https://www.sqlite.org/fileformat2.html, section 1.3): four bytes. */
const APPLICATION_ID_AT = 68;
const APPLICATION_ID_BYTES = 4;

/**
 * Makes a buffer one that does not say that it is a buffer, and leaves SQLite able to read it: the next start carries it over,
 * row by row, into a new file.
 */
export function unname(path: string): void {
  const file = openSync(path, 'r+');
  try {
    writeSync(file, Buffer.alloc(APPLICATION_ID_BYTES), 0, APPLICATION_ID_BYTES, APPLICATION_ID_AT);
  } finally {
    closeSync(file);
  }
}
