import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { formatSpiffeId, type Identity, isIdentityName, isTrustDomain } from '@tributary/core/identity/spiffe-id';
// Before the library, which refuses to load without it.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { type PairPaths, pairPaths, readPair, refuseExisting, writePair } from './pki-files.js';

/** What every command of the PKI takes. */
export interface PkiOptions {
  /** The folder of the PKI; it is made when it is missing. */
  dir: string;
  /** How long the certificate is valid from `nowMs`. */
  days: number;
  /** Unix time in milliseconds. */
  nowMs: number;
  /** Replaces files that are there. Without it they are kept and the call throws (code `exists`). */
  force?: boolean;
}

/** The files that were made. */
export interface IssuedFiles extends PairPaths {
  /** The CA certificate, which the other side needs. */
  ca: string;
  /** The SPIFFE id in the certificate. */
  id: string;
  /** The end of validity, Unix milliseconds. */
  notAfterMs: number;
}

const dayMs = 86_400_000;

/** A certificate begins an hour before it was made, because clocks of devices are rarely right. */
const backdateMs = 3_600_000;

/** 100 years: beyond it dates stop being what somebody meant. */
const daysMax = 36_500;

/** A CA's name among a folder's files. */
const caStem = 'ca';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * Makes a CA: `ca.pem` and `ca-key.pem`, P-256, self-signed, fit to sign end certificates only. Its URI name is the trust
 * domain's SPIFFE id, so that whatever is issued later reads the trust domain from there.
 */
export async function createCa(options: PkiOptions & { trustDomain: string }): Promise<IssuedFiles> {
  const { dir, trustDomain, force = false } = options;
  if (!isTrustDomain(trustDomain)) {
    throw usage(`${JSON.stringify(trustDomain)} is no trust domain; use lower-case letters, digits, dots and dashes`);
  }
  const validity = validityOf(options);
  const paths = pairPaths(dir, caStem);
  if (!force) refuseExisting(paths);
  const keys = await generateKeys();
  const id = `spiffe://${trustDomain}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ O: [trustDomain.slice(0, nameCharactersMax)] }, { CN: ['Tributary CA'] }],
    ...validity,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: id }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  writePair(paths, { cert: pem(certificate), key: await keyPem(keys.privateKey) }, force);
  return { ...paths, ca: paths.cert, id, notAfterMs: validity.notAfter.getTime() };
}

/**
 * Issues a collector's certificate: `server.pem` and `server-key.pem`, or `server-NAME...` when it has a name. `hosts` are
 * the DNS names and IP addresses that devices call.
 */
export async function issueServer(
  options: PkiOptions & { name?: string; hosts: readonly string[] },
): Promise<IssuedFiles> {
  const { name, hosts } = options;
  if (hosts.length === 0) throw usage('a server certificate needs at least one host name or IP address');
  const names = hosts.map((host): x509.JsonGeneralName => {
    if (isIP(host) !== 0) return { type: 'ip', value: host };
    if (!hostForm.test(host) || host.length > 253)
      throw usage(`${JSON.stringify(host)} is no host name and no IP address`);
    return { type: 'dns', value: host };
  });
  const stem = name === undefined ? 'server' : `server-${name}`;
  const identify = (trustDomain: string): Identity => ({ kind: 'collector', trustDomain, name: name ?? 'collector' });
  return issue(options, stem, identify, [name], names, x509.ExtendedKeyUsage.serverAuth);
}

/** Issues a device's certificate: `device-NAME.pem` and its key (`device-TENANT-NAME` when it has a tenant). */
export async function issueDevice(options: PkiOptions & { device: string; tenant?: string }): Promise<IssuedFiles> {
  const { device, tenant } = options;
  const stem = tenant === undefined ? `device-${device}` : `device-${tenant}-${device}`;
  const identify = (trustDomain: string): Identity => ({ kind: 'device', trustDomain, tenant, device });
  return issue(options, stem, identify, [device, tenant], [], x509.ExtendedKeyUsage.clientAuth);
}

/** Issues the certificate of a person or program that asks the collector: `operator-NAME.pem` and its key. */
export async function issueOperator(options: PkiOptions & { name: string }): Promise<IssuedFiles> {
  const { name } = options;
  const identify = (trustDomain: string): Identity => ({ kind: 'operator', trustDomain, name });
  return issue(options, `operator-${name}`, identify, [name], [], x509.ExtendedKeyUsage.clientAuth);
}

/** A DNS name, perhaps with a wildcard as its first label (RFC 6125 section 6.4.3). */
const hostForm =
  /^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/** The upper bound of names in a subject (RFC 5280 appendix A.1). The whole name is in the SPIFFE id. */
const nameCharactersMax = 64;

async function issue(
  options: PkiOptions,
  stem: string,
  identify: (trustDomain: string) => Identity,
  names: readonly (string | undefined)[],
  hosts: readonly x509.JsonGeneralName[],
  use: x509.ExtendedKeyUsage,
): Promise<IssuedFiles> {
  const { dir, force = false } = options;
  for (const name of names) {
    if (name !== undefined && !isIdentityName(name)) {
      throw usage(`${JSON.stringify(name)} is no name; use 1 to 128 letters, digits, dots, dashes and underscores`);
    }
  }
  const paths = pairPaths(dir, stem);
  if (!force) refuseExisting(paths);
  const ca = await readCa(dir);
  const validity = validityOf(options);
  if (validity.notAfter > ca.certificate.notAfter) {
    const end = ca.certificate.notAfter.toISOString().slice(0, 10);
    throw usage(`the CA in ${dir} ends on ${end}, before this certificate would; use fewer --days or make a new CA`);
  }
  const identity = identify(ca.trustDomain);
  const id = formatSpiffeId(identity);
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: [{ CN: [(identity.kind === 'device' ? identity.device : identity.name).slice(0, nameCharactersMax)] }],
    issuer: ca.certificate.subjectName,
    ...validity,
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: ca.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([use]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: id }, ...hosts]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(ca.certificate.publicKey),
    ],
  });
  writePair(paths, { cert: pem(certificate), key: await keyPem(keys.privateKey) }, force);
  return { ...paths, ca: pairPaths(dir, caStem).cert, id, notAfterMs: validity.notAfter.getTime() };
}

interface Ca {
  certificate: x509.X509Certificate;
  key: webcrypto.CryptoKey;
  trustDomain: string;
}

async function readCa(dir: string): Promise<Ca> {
  const paths = pairPaths(dir, caStem);
  const pair = readPair(paths);
  let certificate: x509.X509Certificate;
  let key: webcrypto.CryptoKey;
  try {
    certificate = new x509.X509Certificate(pair.cert);
    const [der] = x509.PemConverter.decode(pair.key);
    key = await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  } catch (cause) {
    throw new TributaryError('config', `${paths.cert} or ${paths.key} is damaged; copy them from a backup`, { cause });
  }
  const names = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? [];
  const [trustDomain] = names.flatMap(({ type, value }) => {
    const domain = type === 'url' && value.startsWith('spiffe://') ? value.slice('spiffe://'.length) : '';
    return isTrustDomain(domain) ? [domain] : [];
  });
  if (trustDomain === undefined) {
    throw new TributaryError('config', `${paths.cert}: it names no trust domain; it was not made by "pki init"`);
  }
  return { certificate, key, trustDomain };
}

function validityOf({ days, nowMs }: PkiOptions): { notBefore: Date; notAfter: Date } {
  if (!Number.isFinite(days) || days <= 0 || days > daysMax)
    throw usage(`a validity is more than 0 and at most ${daysMax} days`);
  // X.509 keeps whole seconds.
  const seconds = Math.floor(nowMs / 1000);
  return {
    notBefore: new Date(seconds * 1000 - backdateMs),
    notAfter: new Date(seconds * 1000 + Math.floor(days * dayMs)),
  };
}

/** 16 random bytes, positive and of fixed length (RFC 5280 section 4.1.2.2 allows up to 20). */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] & 0x3f) | 0x40;
  return bytes.toString('hex');
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function usage(message: string): TributaryError {
  return new TributaryError('usage', message);
}
