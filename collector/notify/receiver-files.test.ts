import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '@tributary/core/config/load-config';
import { namingField } from '@tributary/core/config/name-field';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCa, issueServer } from '../identity/pki.js';
import { notifySchema } from './notify-schema.js';
import { notifyFields, readReceiverFiles } from './receiver-files.js';

const dir = mkdtempSync(join(tmpdir(), 'tributary-receiver-'));
const configFile = join(dir, 'collector.yaml');

beforeAll(async () => {
  const pki = { dir, days: 30, nowMs: Date.now() };
  await createCa({ ...pki, trustDomain: 'example.org' });
  await issueServer({ ...pki, hosts: ['localhost'] });
  const secret = (name: string, text: string) => writeFileSync(join(dir, name), text, { mode: 0o600 });
  secret('secret', `whsec_${Buffer.alloc(32, 1).toString('base64')}\n`);
  secret('old', `whsec_${Buffer.alloc(32, 2).toString('base64')}\n`);
  secret('token', 'Bearer abc\n');
  secret('password', 'geheim');
  secret('lines', 'a\nb\n');
  writeFileSync(join(dir, 'open'), 'Bearer abc\n');
  chmodSync(join(dir, 'open'), 0o644);
});
afterAll(() => rmSync(dir, { recursive: true }));

function read(receiver: string) {
  const text = `notify:\n  receivers:\n    - { name: a, ${receiver} }\n`;
  writeFileSync(configFile, text);
  const { notify } = parseConfig(text, configFile, v.strictObject({ notify: notifySchema }));
  return namingField(configFile, notifyFields(notify), () => readReceiverFiles(notify.receivers[0]!));
}

const webhook = (more: string) => read(`kind: webhook, url: "https://a.example", ${more}`);

describe('the files of a receiver', () => {
  it('are read', async () => {
    const secrets = await webhook(
      'secretFile: secret, previousSecretFile: old, headerFiles: { Authorization: token }, tls: { ca: ca.pem, cert: server.pem, key: server-key.pem }',
    );
    expect(secrets.signing).toEqual([Buffer.alloc(32, 1), Buffer.alloc(32, 2)]);
    expect(secrets.headers).toEqual({ Authorization: 'Bearer abc' });
    expect(Object.keys(secrets.tls)).toEqual(['ca', 'cert', 'key']);
    const basic = await read(
      'kind: alertmanager, urls: ["http://a"], basicAuth: { user: ada, passwordFile: password }',
    );
    expect(basic.headers).toEqual({ authorization: `Basic ${Buffer.from('ada:geheim').toString('base64')}` });
  });

  it.each([
    [
      'missing',
      'secretFile: none',
      /^.*collector\.yaml:3:\d+: notify\.receivers\[0\]\.secretFile: .*none: no such file/,
    ],
    ['no secret', 'secretFile: token', /notify\.receivers\[0\]\.secretFile: .*it does not hold whsec_ and base64/],
    ['readable by others', 'secretFile: secret, headerFiles: { X-A: open }', /headerFiles\.X-A: .*run: chmod 600/],
    ['of several lines', 'secretFile: secret, headerFiles: { X-A: lines }', /headerFiles\.X-A: .*not hold one line/],
    ['no certificate', 'secretFile: secret, tls: { ca: token }', /tls\.ca: .*it holds no certificate/],
    [
      'a key of others',
      'secretFile: secret, tls: { cert: ca.pem, key: server-key.pem }',
      /tls\.key: .*does not belong to/,
    ],
  ])('are refused with the place of their field when one is %s', async (_, more, message) => {
    await expect(webhook(more)).rejects.toThrow(message);
  });
});
