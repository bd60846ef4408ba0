import { webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
// Before the library, which refuses to load without it.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** PEM texts of one side. */
export interface TestPair {
  cert: string;
  key: string;
}

/** A CA for tests, as small as one can be. */
export class TestPki {
  readonly ca: string;
  readonly #authority: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(authority: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.#authority = authority;
    this.#key = key;
    this.ca = authority.toString('pem');
  }

  static async create(): Promise<TestPki> {
    x509.cryptoProvider.set(webcrypto as Parameters<typeof x509.cryptoProvider.set>[0] & typeof webcrypto);
    const keys = await newKeys();
    const authority = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=Test CA',
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    return new TestPki(authority, keys.privateKey);
  }

  /** A certificate with this SPIFFE id, for 127.0.0.1 and localhost. */
  async issue(spiffeId: string): Promise<TestPair> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      subject: 'CN=Test',
      issuer: this.#authority.subject,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'url', value: spiffeId },
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    });
    const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const lines = key.replace(/.{64}/g, '$&\n').trimEnd();
    return {
      cert: certificate.toString('pem'),
      key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
    };
  }

  /** Writes `ca.pem`, `device.pem` and `device.key` of a device into a folder. */
  async writeDevice(folder: string, device: string): Promise<{ ca: string; cert: string; key: string }> {
    const pair = await this.issue(`spiffe://example.org/device/${device}`);
    const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'device.pem'), key: join(folder, 'device.key') };
    writeFileSync(files.ca, this.ca);
    writeFileSync(files.cert, pair.cert);
    writeFileSync(files.key, pair.key, { mode: 0o600 });
    return files;
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
}
