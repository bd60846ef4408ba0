import { chmodSync, copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Rig } from '../rig/rig.js';
import { runProgram } from './run-program.js';

let rig: Rig;

beforeAll(async () => {
  rig = await Rig.create('config');
  await rig.device('one');
  copyFileSync(rig.path('pki/device-one-key.pem'), rig.path('pki/open-key.pem'));
  chmodSync(rig.path('pki/open-key.pem'), 0o644);
  writeFileSync(rig.path('rules.yaml'), 'rules:\n  - name: hot\n    select: { name: t }\n    abvoe: 5\n');
  writeFileSync(rig.path('rules-twice.yaml'), 'rules:\n  - { name: hot, select: { name: t }, above: 5, below: 1 }\n');
  writeFileSync(rig.path('rules-clear.yaml'), 'rules:\n  - { name: hot, select: { name: t }, above: 5, clear: 9 }\n');
});

afterAll(() => rig.close());

const agent = `collector: { address: 127.0.0.1:1 }
tls: { ca: pki/ca.pem, cert: pki/device-one.pem, key: pki/device-one-key.pem }
buffer: { path: buffer.db }
health: { metrics: off }
sources:
  - { type: simulator, name: sim, series: [{ name: t, model: temperature }] }
`;

const collector = `listen: 127.0.0.1:0
tls: { ca: pki/ca.pem, cert: pki/server.pem, key: pki/server-key.pem }
trustDomain: rig.test
store: { sqlite: { path: store.db } }
health: { listen: 127.0.0.1:0 }
`;

/** What is wrong, what stands there instead of what, the place and the field, and the remedy. */
type Case = [what: string, from: string, to: string, message: string, remedy: string];

const agentCases: Case[] = [
  ['an unknown key', 'address:', 'adress:', 'bad.yaml:1:14: collector.adress: unknown key', 'address'],
  ['a wrong type', 'name: sim', 'name: 7', 'bad.yaml:6:30: sources[0].name: not a name', 'quotes'],
  ['an unknown source', 'simulator', 'simulater', 'bad.yaml:6:13: sources[0].type', 'simulator'],
  ['an unknown field of a source', 'series:', 'serie:', 'bad.yaml:6:35: sources[0].serie: unknown key', 'series'],
  [
    'an unknown sensor',
    'model: temperature',
    'model: tempest',
    'bad.yaml:6:62: sources[0].series[0].model',
    'write one of',
  ],
  ['a duration without unit', 'health:', 'batching: { maxAge: 1 }\nhealth:', 'bad.yaml:4:21: batching.maxAge', '250ms'],
  ['public metrics', 'metrics: off', 'metrics: 0.0.0.0:9', 'bad.yaml:4:20: health.metrics', '127.0.0.1:PORT'],
  ['a key twice', 'health:', 'buffer: { path: b.db }\nhealth:', 'bad.yaml:4:1: ', 'keep one'],
  ['what is no YAML', 'sources:', 'sources: [', 'bad.yaml:', ''],
  ['a missing certificate', 'device-one.pem', 'absent.pem', 'absent.pem: no such file', 'name the PEM file'],
  ['the field that names it', 'device-one.pem', 'absent.pem', 'bad.yaml:2:', 'tls.cert: '],
  [
    'a key that others can read',
    'device-one-key.pem',
    'open-key.pem',
    'open-key.pem: other users can read',
    'chmod 600',
  ],
  ["another's key", 'device-one-key.pem', 'server-key.pem', 'does not belong to the certificate', 'name the key'],
  ['a certificate as the CA', 'ca: pki/ca.pem', 'ca: pki/device-one.pem', 'not of a CA', 'name the file of the CA'],
];

const collectorCases: Case[] = [
  ['an unknown key', 'trustDomain:', 'trustdomain:', 'bad.yaml:3:1: trustdomain: unknown key', 'trustDomain'],
  ['a wrong type', 'listen: 127.0.0.1:0\n', 'listen: 5\n', 'bad.yaml:1:9: listen', 'HOST:PORT'],
  ['a size without unit', 'store:', 'limits: { itemBytes: 5 }\nstore:', 'bad.yaml:4:22: limits.itemBytes', 'KiB'],
  ['a key that others can read', 'server-key.pem', 'open-key.pem', 'open-key.pem: other users can read', 'chmod 600'],
  ['a missing CA', 'pki/ca.pem', 'pki/no.pem', 'no.pem: no such file', 'tls.ca: '],
  ["a device's certificate", 'pki/server', 'pki/device-one', 'it names a device', 'tributary-collector pki server'],
  ['rules that are missing', 'store:', 'rules: no.yaml\nstore:', 'no.yaml: no such file', 'name a file that is there'],
  ['the field that names them', 'store:', 'rules: no.yaml\nstore:', 'bad.yaml:4:8: rules: ', 'no.yaml'],
  [
    'an unknown field of a rule',
    'store:',
    'rules: rules.yaml\nstore:',
    'rules.yaml:4:5: rules[0].abvoe: unknown key',
    'above',
  ],
  ['a rule of two conditions', 'store:', 'rules: rules-twice.yaml\nstore:', 'rules-twice.yaml:2:', 'make two rules'],
  ['a rule that ends at once', 'store:', 'rules: rules-clear.yaml\nstore:', 'rules-clear.yaml:2:', 'or less'],
];

async function expectRefused(
  name: 'agent' | 'collector',
  parameters: string[],
  message: string,
  remedy: string,
): Promise<void> {
  const { code, out, err } = await runProgram(name, parameters, rig.folder);
  expect(err).toContain(message);
  expect(err).toContain(remedy);
  expect(err).toMatch(/^error: /);
  expect(err).not.toMatch(/^\s+at /m);
  expect(out).toBe('');
  expect(code).toBe(2);
}

describe("an agent's configuration", () => {
  it.each(agentCases)('with %s is refused, with its place and a remedy', async (_, from, to, message, remedy) => {
    expect(agent).toContain(from);
    writeFileSync(rig.path('bad.yaml'), agent.replaceAll(from, to));
    await expectRefused('agent', ['run', '--config', 'bad.yaml'], message, remedy);
  });

  it('is checked by validate, and only that', async () => {
    writeFileSync(rig.path('bad.yaml'), agent.replace('simulator', 'simulater'));
    await expectRefused('agent', ['validate', 'bad.yaml'], 'bad.yaml:6:13: sources[0].type', 'simulator');
    writeFileSync(rig.path('good.yaml'), agent);
    const folder = readdirSync(rig.folder);
    expect(await runProgram('agent', ['validate', 'good.yaml'], rig.folder)).toMatchObject({ code: 0, err: '' });
    expect(readdirSync(rig.folder)).toEqual(folder);
  });

  it.each([
    [['run', '--config', 'absent.yaml'], 'absent.yaml: no such file'],
    [['run', '--config', '.'], 'it is a directory'],
    [['validate'], 'name the file'],
    [['status', '--config', 'absent.yaml'], 'absent.yaml: no such file'],
  ])('that is not there: %j exits with 2', async (parameters, message) => {
    await expectRefused('agent', parameters, message, '');
  });
});

describe("a collector's configuration", () => {
  it.each(collectorCases)('with %s is refused, with its place and a remedy', async (_, from, to, message, remedy) => {
    expect(collector).toContain(from);
    writeFileSync(rig.path('bad.yaml'), collector.replaceAll(from, to));
    await expectRefused('collector', ['serve', '--config', 'bad.yaml'], message, remedy);
    expect(existsSync(rig.path('store.db'))).toBe(false);
  });
});
