import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { TributaryError } from '@tributary/core/errors/tributary-error';

/** A certificate and its key, in PEM. */
export interface PemPair {
  cert: string;
  key: string;
}

/** Where a pair lies. */
export interface PairPaths {
  cert: string;
  key: string;
}

/** `server` becomes `DIR/server.pem` and `DIR/server-key.pem`. */
export function pairPaths(dir: string, stem: string): PairPaths {
  return { cert: join(dir, `${stem}.pem`), key: join(dir, `${stem}-key.pem`) };
}

/** Throws (code `exists`) when either file is there, so that nobody loses a CA's key by a repeated command. */
export function refuseExisting(paths: PairPaths): void {
  for (const path of [paths.key, paths.cert]) {
    if (existsSync(path)) throw existing(path);
  }
}

/**
 * Writes key (mode 0600) and certificate (mode 0644), each whole or not at all, into a folder that is made with mode 0700
 * when it is missing. The key comes first: a certificate without its key would look finished.
 */
export function writePair(paths: PairPaths, pair: PemPair, force: boolean): void {
  if (!force) refuseExisting(paths);
  try {
    mkdirSync(dirname(paths.key), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw TributaryError.from(error);
  }
  writeWhole(paths.key, pair.key, 0o600, force);
  writeWhole(paths.cert, pair.cert, 0o644, force);
}

/** The pair as it was written. Throws (code `config`) when a file is missing or unreadable. */
export function readPair(paths: PairPaths): PemPair {
  return { cert: readText(paths.cert), key: readText(paths.key) };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { message } = TributaryError.from(error);
    throw new TributaryError('config', `${message}; make a CA first with "tributary-collector pki init"`, {
      cause: error,
    });
  }
}

function writeWhole(path: string, text: string, mode: number, force: boolean): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const descriptor = openSync(temporary, 'wx', mode);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    // rename(2) replaces what is there, link(2) refuses to.
    if (force) renameSync(temporary, path);
    else linkSync(temporary, path);
  } catch (thrown) {
    const error = TributaryError.from(thrown);
    throw error.code === 'exists' ? existing(path) : error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function existing(path: string): TributaryError {
  return new TributaryError('exists', `${path}: it exists already and is kept; use --force to replace it`);
}
