import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { TributaryError } from '../errors/tributary-error.js';

/** A key, or a chain of certificates, is a few kB; a file of roots is about 200 kB. */
const fileBytesMax = 1024 * 1024;

/** Any bit for group or others. */
const foreignModeBits = 0o077;

/**
 * Reads a small file that a configuration names; `what` says in words what belongs in it, such as `the PEM file with the
 * private key`. Throws a `TributaryError` with code `config` that names the file and the remedy.
 */
export function readNamedFile(file: string, what: string): Buffer {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) throw wrongFile(file, `it is not a file; name ${what}`);
    if (stat.size > fileBytesMax) throw wrongFile(file, `it is larger than 1 MiB; name ${what}`);
    return readFileSync(file);
  } catch (error) {
    const { message, code } = TributaryError.from(error);
    if (code === 'config') throw error;
    const text = message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message;
    throw wrongFile(file, `${text}; name ${what}`, error);
  }
}

/** The certificates of a PEM text, at least one. Throws like `readNamedFile`. */
export function certificatesIn(file: string, pem: Buffer): [X509Certificate, ...X509Certificate[]] {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    const [first, ...rest] = blocks.map((block) => new X509Certificate(block));
    if (first !== undefined) return [first, ...rest];
  } catch (cause) {
    throw wrongFile(file, 'it holds a damaged certificate; copy or issue it again', cause);
  }
  throw wrongFile(file, 'it holds no certificate; a PEM file with BEGIN CERTIFICATE is needed');
}

/** The private key of a PEM text. Throws like `readNamedFile`. */
export function privateKeyIn(file: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw wrongFile(file, 'it holds no private key that can be read; an unencrypted PEM key is needed', cause);
  }
}

/** Refuses a file with a secret that others than its owner may read or change. `what` is `private key`, for one. */
export function checkOwnerOnly(file: string, what: string): void {
  // Windows has no such bits; Node reports 0o666 for every file there.
  if (process.platform === 'win32') return;
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & foreignModeBits) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw wrongFile(file, `other users can read or change this ${what} (mode ${octal}); run: chmod 600 ${file}`);
  }
}

/** The error about a file that a configuration names. */
export function wrongFile(file: string, message: string, cause?: unknown): TributaryError {
  return new TributaryError('config', `${file}: ${message}`, { cause });
}
