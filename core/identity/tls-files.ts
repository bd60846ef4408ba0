import { soleIdentity } from './peer-identity.js';
import { certificatesIn, checkOwnerOnly, privateKeyIn, readNamedFile, wrongFile } from './pem-file.js';
import type { Identity } from './spiffe-id.js';

/** The three PEM files that one side of a connection needs. */
export interface TlsFiles {
  /** The CA certificates that the peer's certificate must come from. */
  ca: string;
  /** This side's certificate, followed by intermediate certificates where there are any. */
  cert: string;
  /** The private key of `cert`, readable by its owner alone. */
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

/**
 * Reads and checks certificates and key. Throws a `TributaryError` with code `config` that names the file and the remedy:
 * missing or unreadable, no PEM, a CA file without a CA, a key that others can read or that belongs to another
 * certificate, a certificate that names nobody, or somebody of another kind than `kind`.
 */
export function loadTlsFiles(files: TlsFiles, kind?: Identity['kind']): TlsMaterial {
  const ca = readPem(files.ca, 'CA certificates');
  const authorities = certificatesIn(files.ca, ca);
  if (!authorities.every((certificate) => certificate.ca)) {
    throw wrongFile(
      files.ca,
      'it holds a certificate that is not of a CA; name the file of the CA that issued the peers',
    );
  }
  const cert = readPem(files.cert, 'the certificate');
  const [own] = certificatesIn(files.cert, cert);
  checkOwnerOnly(files.key, 'private key');
  const key = readPem(files.key, 'the private key');
  if (!own.checkPrivateKey(privateKeyIn(files.key, key))) {
    throw wrongFile(
      files.key,
      `the key does not belong to the certificate ${files.cert}; name the key that was made with it`,
    );
  }
  const self = soleIdentity(own.subjectAltName);
  if (!self.ok) throw wrongFile(files.cert, `${self.detail}; make one with "tributary-collector pki"`);
  if (kind !== undefined && self.identity.kind !== kind) {
    const command = kind === 'collector' ? 'server' : kind;
    const found = self.identity.kind;
    throw wrongFile(
      files.cert,
      `it names ${article(found)}, and ${article(kind)} is needed; issue one with "tributary-collector pki ${command}"`,
    );
  }
  return { ca, cert, key, identity: self.identity, notAfterMs: Date.parse(own.validTo) };
}

function readPem(file: string, what: string): Buffer {
  return readNamedFile(file, `the PEM file with ${what}`);
}

function article(kind: Identity['kind']): string {
  return kind === 'operator' ? 'an operator' : `a ${kind}`;
}
