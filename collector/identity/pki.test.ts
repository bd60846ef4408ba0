import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCa, type IssuedFiles, issueDevice, issueOperator, issueServer } from './pki.js';

const root = mkdtempSync(join(tmpdir(), 'tributary-pki-'));
const dir = join(root, 'pki');
const nowMs = Date.parse('2026-03-01T12:00:00Z');
const day = { dir, days: 1, nowMs };
let ca: IssuedFiles;

beforeAll(async () => {
  ca = await createCa({ dir, trustDomain: 'example.org', days: 3650, nowMs });
});
afterAll(() => rmSync(root, { recursive: true }));

function certificate(files: IssuedFiles): X509Certificate {
  return new X509Certificate(readFileSync(files.cert));
}

describe('a certificate authority', () => {
  it('is a self-signed P-256 CA that names its trust domain', () => {
    const authority = certificate(ca);
    expect(authority.ca).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    expect(authority.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    expect(authority.subjectAltName).toBe('URI:spiffe://example.org');
    expect(new Date(authority.validTo)).toEqual(new Date(ca.notAfterMs));
  });

  it('keeps keys and folder to its owner', () => {
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(ca.key).mode & 0o777).toBe(0o600);
  });

  it('is never overwritten by accident', async () => {
    const before = readFileSync(ca.key, 'utf8');
    await expect(createCa({ dir, trustDomain: 'example.org', days: 1, nowMs })).rejects.toMatchObject({
      code: 'exists',
      message: expect.stringContaining('--force'),
    });
    expect(readFileSync(ca.key, 'utf8')).toBe(before);
  });

  it('wants a trust domain and a sensible validity', async () => {
    const other = join(root, 'other');
    await expect(createCa({ dir: other, trustDomain: 'Example', days: 1, nowMs })).rejects.toMatchObject({
      code: 'usage',
    });
    for (const days of [0, -1, Number.NaN, 40_000]) {
      await expect(createCa({ dir: other, trustDomain: 'a', days, nowMs })).rejects.toMatchObject({ code: 'usage' });
    }
    expect(readdirSync(root)).toEqual(['pki']);
  });
});

describe('an issued certificate', () => {
  it('of a collector carries its names and SPIFFE id and is for servers', async () => {
    const files = await issueServer({ ...day, hosts: ['collector.example.org', '127.0.0.1', '::1'] });
    expect(files.cert).toBe(join(dir, 'server.pem'));
    expect(files.key).toBe(join(dir, 'server-key.pem'));
    const issued = certificate(files);
    expect(issued.checkIssued(certificate(ca)) && issued.verify(certificate(ca).publicKey)).toBe(true);
    expect(issued.ca).toBe(false);
    expect(issued.subjectAltName).toBe(
      'URI:spiffe://example.org/collector/collector, DNS:collector.example.org, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(issued.checkHost('collector.example.org')).toBeDefined();
    expect(issued.checkIP('127.0.0.1')).toBeDefined();
    expect(issued.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(new Date(issued.validFrom).getTime()).toBe(nowMs - 3_600_000);
    expect(new Date(issued.validTo).getTime()).toBe(nowMs + 86_400_000);
  });

  it('of a device or operator names it and is for clients', async () => {
    const plain = await issueDevice({ ...day, device: 'press-1' });
    const inTenant = await issueDevice({ ...day, device: 'press-1', tenant: 'acme' });
    const operator = await issueOperator({ ...day, name: 'grafana' });
    expect([plain, inTenant, operator].map((files) => certificate(files).subjectAltName)).toEqual([
      'URI:spiffe://example.org/device/press-1',
      'URI:spiffe://example.org/tenant/acme/device/press-1',
      'URI:spiffe://example.org/operator/grafana',
    ]);
    for (const files of [plain, inTenant, operator]) {
      expect(certificate(files).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
      expect(statSync(files.key).mode & 0o777).toBe(0o600);
      expect(files.ca).toBe(ca.cert);
    }
    expect(loadTlsFiles(inTenant).identity).toEqual({
      kind: 'device',
      trustDomain: 'example.org',
      tenant: 'acme',
      device: 'press-1',
    });
    expect(new Set([plain, inTenant, operator].map((files) => certificate(files).serialNumber)).size).toBe(3);
  });

  it('takes a name longer than a subject may be', async () => {
    const device = 'd'.repeat(128);
    const files = await issueDevice({ ...day, device });
    expect(certificate(files).subject).toBe(`CN=${'d'.repeat(64)}`);
    expect(loadTlsFiles(files).identity).toMatchObject({ device });
  });

  it('is replaced only with force, and leaves no temporary file', async () => {
    const first = await issueDevice({ ...day, device: 'twice' });
    const key = readFileSync(first.key, 'utf8');
    await expect(issueDevice({ ...day, device: 'twice' })).rejects.toMatchObject({ code: 'exists' });
    await issueDevice({ ...day, device: 'twice', force: true });
    expect(readFileSync(first.key, 'utf8')).not.toBe(key);
    expect(loadTlsFiles(first).identity).toMatchObject({ device: 'twice' });
    expect(readdirSync(dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is not made for names that cannot stand in it, nor beyond the end of its CA', async () => {
    const refused = { code: 'usage' };
    await expect(issueDevice({ ...day, device: '../x' })).rejects.toMatchObject(refused);
    await expect(issueDevice({ ...day, device: 'x', tenant: 'a/b' })).rejects.toMatchObject(refused);
    await expect(issueServer({ ...day, hosts: [] })).rejects.toMatchObject(refused);
    await expect(issueServer({ ...day, hosts: ['a b'] })).rejects.toMatchObject(refused);
    await expect(issueDevice({ ...day, days: 3651, device: 'x' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('ends on 2036-02-27'),
    });
  });

  it('needs a CA that is whole and has a trust domain', async () => {
    const none = join(root, 'none');
    await expect(issueDevice({ ...day, dir: none, device: 'x' })).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/ca\.pem: no such file or directory; make a CA first/),
    });
    const damaged = join(root, 'damaged');
    const files = await createCa({ dir: damaged, trustDomain: 'a', days: 10, nowMs });
    writeFileSync(files.key, 'nothing');
    await expect(issueDevice({ ...day, dir: damaged, device: 'x' })).rejects.toMatchObject({ code: 'config' });
  });
});

describe('TLS files', () => {
  function messageOf(files: { ca: string; cert: string; key: string }): string {
    try {
      loadTlsFiles(files);
    } catch (error) {
      expect((error as { code: string }).code).toBe('config');
      return (error as Error).message;
    }
    throw new Error('nothing was refused');
  }

  it('are refused by name, with the remedy', async () => {
    const good = await issueDevice({ ...day, device: 'files' });
    const other = await issueDevice({ ...day, device: 'other-files' });
    const text = join(root, 'text.pem');
    writeFileSync(text, 'hello', { mode: 0o600 });
    const missing = join(root, 'missing.pem');
    expect(messageOf({ ...good, ca: missing })).toBe(
      `${missing}: no such file or directory; name the PEM file with CA certificates`,
    );
    expect(messageOf({ ...good, cert: missing })).toContain(`${missing}: no such file or directory`);
    expect(messageOf({ ...good, key: missing })).toContain(`${missing}: no such file or directory`);
    expect(messageOf({ ...good, ca: dir })).toContain(`${dir}: it is not a file`);
    expect(messageOf({ ...good, ca: text })).toContain(`${text}: it holds no certificate`);
    expect(messageOf({ ...good, ca: good.cert })).toContain(`${good.cert}: it holds a certificate that is not of a CA`);
    expect(messageOf({ ...good, key: text })).toContain(`${text}: it holds no private key`);
    expect(messageOf({ ...good, key: other.key })).toContain(`does not belong to the certificate ${good.cert}`);
    expect(messageOf({ ca: ca.cert, cert: ca.cert, key: ca.key })).toContain(`${ca.cert}: `);
  });

  it.skipIf(process.platform === 'win32')('are refused when others can read the key', async () => {
    const { key, ...rest } = await issueDevice({ ...day, device: 'open' });
    for (const mode of [0o644, 0o640, 0o604, 0o620]) {
      chmodSync(key, mode);
      expect(messageOf({ ...rest, key })).toContain(`run: chmod 600 ${key}`);
    }
    chmodSync(key, 0o400);
    expect(loadTlsFiles({ ...rest, key }).notAfterMs).toBe(nowMs + 86_400_000);
  });
});
