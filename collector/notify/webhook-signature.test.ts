import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readSecret, signatureHeaders } from './webhook-signature.js';

const dir = mkdtempSync(join(tmpdir(), 'tributary-secret-'));
afterAll(() => rmSync(dir, { recursive: true }));

function fileOf(text: string, mode = 0o600): string {
  const file = join(dir, 'secret');
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

describe('a signature', () => {
  // The test vector that the specification's own libraries share.
  const secret = readSecret(fileOf('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n'));
  const body = Buffer.from('{"test": 2432232314}');

  it('is the one that the libraries of the specification make', () => {
    expect(signatureHeaders([secret], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330_999_999, body)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  it('is there once for each secret, the current one first', () => {
    const other = Buffer.alloc(32, 7);
    const { 'webhook-signature': both } = signatureHeaders([other, secret], 'a', 0, body);
    const { 'webhook-signature': one } = signatureHeaders([secret], 'a', 0, body);
    expect(both?.split(' ')).toHaveLength(2);
    expect(both?.split(' ')[1]).toBe(one);
  });
});

describe('a secret', () => {
  it.each([
    [
      'without its prefix',
      'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      0o600,
      'it does not hold whsec_ and base64; make one with',
    ],
    ['that is no base64', 'whsec_***', 0o600, 'it does not hold whsec_ and base64'],
    ['that is short', 'whsec_AAAA', 0o600, 'the secret has 3 bytes where 24 to 64 are needed'],
    ['that is long', `whsec_${Buffer.alloc(65).toString('base64')}`, 0o600, 'has 65 bytes'],
    [
      'that others can read',
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      0o644,
      'other users can read or change this secret (mode 0644); run: chmod 600',
    ],
  ])('%s is refused, with the remedy', (_, text, mode, message) => {
    const file = fileOf(text, mode);
    expect(() => readSecret(file)).toThrow(message);
    expect(() => readSecret(file)).toThrow(`${file}: `);
  });

  it('whose file is missing is refused by name', () => {
    expect(() => readSecret(join(dir, 'none'))).toThrow('no such file or directory; name the file with the secret');
  });
});
