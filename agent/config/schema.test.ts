import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { loadConfig, parseConfig } from '@tributary/core/config/load-config';
import { describe, expect, it } from 'vitest';
import { agentSchema } from './schema.js';

const here = (name: string) => fileURLToPath(new URL(`../../config/${name}`, import.meta.url));

const minimal = `collector: {address: "127.0.0.1:4443"}
tls: {ca: ca.pem, cert: device.pem, key: device.key}
buffer: {path: buffer.db}
sources: []
`;

function problem(text: string): string {
  try {
    parseConfig(text, '/etc/agent.yaml', agentSchema);
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
}

describe('the configuration of an agent', () => {
  it('has a default for everything that can have one', () => {
    const config = parseConfig(minimal, '/etc/tributary/agent.yaml', agentSchema);
    expect(config).toEqual({
      device: { labels: {} },
      collector: { streamAge: 5000, address: { host: '127.0.0.1', port: 4443 } },
      tls: { ca: '/etc/tributary/ca.pem', cert: '/etc/tributary/device.pem', key: '/etc/tributary/device.key' },
      buffer: {
        path: '/etc/tributary/buffer.db',
        quota: 256 * 1024 ** 2,
        protect: [],
        standby: { after: 300_000, quota: 4 * 1024 ** 2 },
        thinning: { window: 60_000 },
        durability: 'immediate',
        lossWindow: 10_000,
        cardEndurance: 4 * 1024 ** 4,
      },
      batching: { maxAge: 1000, maxAgeOffline: 5000, maxReadings: 1000, maxBytes: 16_384 },
      sources: [],
      alerts: [],
      health: { metrics: { host: '127.0.0.1', port: 9464 } },
      log: { level: 'info' },
    });
  });

  it('is what the example shows', () => {
    const config = loadConfig(here('example.yaml'), agentSchema);
    expect(config.sources.map(({ name }) => name)).toEqual(['board', 'demo']);
    expect(config.device.labels).toEqual({ line: '7' });
    expect(config.alerts.map(({ name }) => name)).toEqual(['siren', 'fan', 'heat-shown', 'quiet']);
  });

  it.each([
    ['colector: {}', 'colector'],
    ['device: {timezone: Middle/Earth}', 'device.timezone: not a time zone'],
    ['device: {labels: {site: x}}', 'a reserved name'],
    ['device: {labels: {"a b": x}}', 'not a label name'],
    ['batching: {maxAge: 10s}', 'batching.maxAgeOffline: shorter than maxAge'],
    ['batching: {maxAge: 5}', 'batching.maxAge: a duration without a unit'],
    ['batching: {maxReadings: 0}', 'batching.maxReadings: too few (value 0); at least 1'],
    ['health: {metrics: "0.0.0.0:9464"}', 'not a loopback address'],
    ['log: {level: loud}', 'log.level'],
  ])('%s is refused, with the place and the remedy', (text, expected) => {
    const message = problem(`${minimal}${text}\n`);
    expect(message).toMatch(/^\/etc\/agent\.yaml:5:\d+: /);
    expect(message).toContain(expected);
  });

  it.each([
    ['freeSpace: 10', 'buffer.freeSpace'],
    ['thinning: {window: 10ms}', 'buffer.thinning.window'],
    [
      'thinning: sometimes',
      'buffer.thinning: not a setting (value "sometimes"); write off, or an object with a window',
    ],
    ['protect: pressure', 'buffer.protect'],
  ])('buffer: {%s} is refused as well', (field, message) => {
    const text = minimal.replace('path: buffer.db', `path: buffer.db, ${field}`);
    expect(() => parseConfig(text, '/etc/agent.yaml', agentSchema)).toThrow(message);
  });

  it('says what is missing', () => {
    expect(problem('sources: []\n')).toContain('collector');
  });

  it('turns metrics and socket off', () => {
    const config = parseConfig(`${minimal}health: {metrics: off, socket: off}\n`, '/etc/agent.yaml', agentSchema);
    expect(config.health).toEqual({ metrics: 'off', socket: 'off' });
  });

  it('has a JSON schema that says the same, generated', async () => {
    const generated = await generateJsonSchema(agentSchema, 'Configuration of tributary-agent');
    expect(JSON.parse(readFileSync(here('agent.schema.json'), 'utf8'))).toEqual(generated);
  });
});
