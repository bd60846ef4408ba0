import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { TributaryError } from '../errors/tributary-error.js';
import { soleIdentity } from './peer-identity.js';
import type { Identity } from './spiffe-id.js';

/** The three PEM files that one side of a connection needs. */
export interface TlsFiles {
  /** The CA certificates that the peer's certificate must come from. */
  ca: string;
  /** This side's certificate, followed by intermediate certificates where there are any. */
  cert: string;
  /** The private key of `cert`, readable by its owner alone; one that is root's, by a group of this process too. */
  key: string;
}

/** The contents of `TlsFiles`, checked. */
export interface TlsMaterial {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
  /** Who this side is, from its own certificate. */
  identity: Identity;
  /** When this side's certificate ends, Unix milliseconds. Not checked: a device's clock may be wrong. */
  notAfterMs: number;
}

/** A key, or a chain of certificates, is a few kB; a file of roots is about 200 kB. */
const fileBytesMax = 1024 * 1024;

/** Any bit for group or others. */
const foreignModeBits = 0o077;

/** The same without reading by the group. */
const foreignModeBitsOfRoot = 0o037;

/**
 * Reads and checks certificates and key. Throws a `TributaryError` with code `config` that names the file and the remedy:
 * missing or unreadable, no PEM, a CA file without a CA, a key that others can read or that belongs to another
 * certificate, a certificate that names nobody, or somebody of another kind than `kind`.
 */
export function loadTlsFiles(files: TlsFiles, kind?: Identity['kind']): TlsMaterial {
  const ca = readPem(files.ca, 'CA certificates');
  const authorities = certificates(files.ca, ca);
  if (!authorities.every((certificate) => certificate.ca)) {
    throw wrong(files.ca, 'it holds a certificate that is not of a CA; name the file of the CA that issued the peers');
  }
  const cert = readPem(files.cert, 'the certificate');
  const [own] = certificates(files.cert, cert);
  checkKeyMode(files.key);
  const key = readPem(files.key, 'the private key');
  if (!own.checkPrivateKey(privateKey(files.key, key))) {
    throw wrong(
      files.key,
      `the key does not belong to the certificate ${files.cert}; name the key that was made with it`,
    );
  }
  const self = soleIdentity(own.subjectAltName);
  if (!self.ok) throw wrong(files.cert, `${self.detail}; make one with "tributary-collector pki"`);
  if (kind !== undefined && self.identity.kind !== kind) {
    const command = kind === 'collector' ? 'server' : kind;
    const found = self.identity.kind;
    throw wrong(
      files.cert,
      `it names ${article(found)}, and ${article(kind)} is needed; issue one with "tributary-collector pki ${command}"`,
    );
  }
  return { ca, cert, key, identity: self.identity, notAfterMs: Date.parse(own.validTo) };
}

function readPem(file: string, what: string): Buffer {
  try {
    const stat = statSync(file);
    if (!stat.isFile()) throw wrong(file, `it is not a file; name the PEM file with ${what}`);
    if (stat.size > fileBytesMax) throw wrong(file, `it is larger than 1 MiB; name the PEM file with ${what}`);
    return readFileSync(file);
  } catch (error) {
    const { message, code } = TributaryError.from(error);
    if (code === 'config') throw error;
    const text = message.startsWith(`${file}: `) ? message.slice(file.length + 2) : message;
    throw wrong(file, `${text}; name the PEM file with ${what}`, error);
  }
}

function certificates(file: string, pem: Buffer): X509Certificate[] {
  const blocks = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw wrong(file, 'it holds no certificate; a PEM file with BEGIN CERTIFICATE is needed');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw wrong(file, 'it holds a damaged certificate; copy or issue it again', cause);
  }
}

function privateKey(file: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw wrong(file, 'it holds no private key that can be read; an unencrypted PEM key is needed', cause);
  }
}

function checkKeyMode(file: string): void {
  // Windows has no such bits; Node reports 0o666 for every file there.
  if (process.platform === 'win32') return;
  const { mode, uid } = statSync(file, { throwIfNoEntry: false }) ?? { mode: 0, uid: 0 };
  // Root may let a group read its own file: that is how Kubernetes mounts a Secret for a user that is not root. A key that
  // belongs to whoever runs this is for that user alone. PostgreSQL has the same rule for its server key.
  const ofRoot = uid === 0 && process.getuid?.() !== 0;
  if ((mode & (ofRoot ? foreignModeBitsOfRoot : foreignModeBits)) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw wrong(file, `other users can read or change this private key (mode ${octal}); run: chmod 600 ${file}`);
  }
}

function article(kind: Identity['kind']): string {
  return kind === 'operator' ? 'an operator' : `a ${kind}`;
}

function wrong(file: string, message: string, cause?: unknown): TributaryError {
  return new TributaryError('config', `${file}: ${message}`, { cause });
}
