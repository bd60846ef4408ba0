import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TributaryError } from '../errors/tributary-error.js';
import { namingField, tlsFields } from './name-field.js';

let folder: string;
let config: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'name-field-'));
  config = join(folder, 'agent.yaml');
  writeFileSync(config, 'tls:\n  ca: ca.pem\n  cert: device.pem\n  key: key.pem\n');
});

afterAll(() => rmSync(folder, { recursive: true }));

const fields = tlsFields({ ca: '/x/ca.pem', cert: '/x/device.pem', key: '/x/key.pem' });
const failing = (message: string) => () => {
  throw new TributaryError('config', message);
};

describe('a problem with a file that a configuration names', () => {
  it('is told with the place of the field', async () => {
    await expect(namingField(config, fields, failing('/x/key.pem: no such file'))).rejects.toThrow(
      `${config}:4:8: tls.key: /x/key.pem: no such file`,
    );
  });

  it('is left alone when it has a place of its own, or belongs to no field', async () => {
    await expect(namingField(config, fields, failing('/x/key.pem:3:1: a.b: wrong'))).rejects.toThrow(
      /^\/x\/key.pem:3:1/,
    );
    await expect(namingField(config, fields, failing('/y: wrong'))).rejects.toThrow(/^\/y: wrong$/);
    expect(await namingField(config, fields, () => 5)).toBe(5);
  });
});
