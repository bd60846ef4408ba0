import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generateJsonSchema } from '@tributary/core/config/json-schema';
import { loadConfig, parseConfig } from '@tributary/core/config/load-config';
import { describe, expect, it } from 'vitest';
import { assertIngestLimits } from '../ingest/ingest-limits.js';
import { ingestLimitsOf } from './ingest-limits-of.js';
import { collectorSchema } from './schema.js';

const source = (name: string) => fileURLToPath(new URL(`../../config/${name}`, import.meta.url));
const least = `
tls: { ca: ca.pem, cert: cert.pem, key: key.pem }
trustDomain: example.org
store: { sqlite: { path: data.db } }
`;

const parse = (text: string) => parseConfig(text, '/etc/tributary/collector.yaml', collectorSchema);

describe('the configuration', () => {
  it('has a default for everything that can have one', () => {
    const config = parse(least);
    expect(config).toMatchObject({
      listen: { host: '0.0.0.0', port: 4443 },
      tls: { ca: '/etc/tributary/ca.pem' },
      retention: { readings: 30 * 86_400_000 },
      health: { listen: { host: '127.0.0.1', port: 9465 } },
      log: { level: 'info' },
    });
    expect(() => assertIngestLimits(ingestLimitsOf(config))).not.toThrow();
  });

  it('of the example is in order, and says the defaults', () => {
    const example = loadConfig(source('example.yaml'), collectorSchema);
    const written = readFileSync(source('example.yaml'), 'utf8');
    const uncommented = written.replace(/^# (limits:|listen:|notify:| {2})/gm, '$1');
    const explicit = parseConfig(uncommented, source('example.yaml'), collectorSchema);
    expect(explicit.limits).toEqual({ ...example.limits, connectionAge: 3_600_000 });
    expect(explicit.listen).toEqual(example.listen);
    const [webhook, alertmanager] = explicit.notify.receivers;
    expect({ ...explicit.notify, receivers: [] }).toEqual(example.notify);
    const least = `${written}notify:
  receivers:
    - { name: operations, kind: webhook, url: https://hooks.example.org/tributary, secretFile: secrets/operations }
    - { name: alertmanager, kind: alertmanager, urls: [http://127.0.0.1:9093] }
`;
    const defaults = parseConfig(least, source('example.yaml'), collectorSchema).notify.receivers;
    expect([{ ...webhook, match: {} }, alertmanager]).toEqual(defaults);
  });

  it('keeps readings for ever when told to', () => {
    expect(parse(`${least}retention: { readings: forever }`).retention.readings).toBe('forever');
  });

  it.each([
    ['an unknown key', `${least}retension: {}`, 'collector.yaml:5:1: retension'],
    ['a missing path', least.replace('path: data.db', ''), 'store.sqlite.path'],
    ['a wrong trust domain', least.replace('example.org', 'Example Org'), 'lower-case'],
    ['a size without a unit', `${least}limits: { itemBytes: 4096 }`, '512B, 64KiB'],
    ['a limit below its range', `${least}limits: { batchReadings: 1 }`, 'from 100 to 262144'],
    ['a wrong level', `${least}log: { level: loud }`, 'write one of trace'],
    ['a short retention', `${least}retention: { readings: 5m }`, 'retention.readings'],
    ['limits that contradict', `${least}limits: { inFlight: 16MiB, deviceInFlight: 32MiB }`, 'limits.inFlight'],
    [
      'streams that do not fit',
      `${least}limits: { streamBytes: 16MiB, deviceInFlight: 8MiB }`,
      'limits.deviceInFlight',
    ],
    ['a wrong receiver', `${least}notify: { receivers: [{ kind: email }] }`, 'notify.receivers[0].kind'],
  ])('with %s is refused, with the place', (_, text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  it('has a JSON Schema beside it that is up to date', async () => {
    const generated = await generateJsonSchema(collectorSchema, 'Configuration of tributary-collector');
    expect(JSON.parse(readFileSync(source('collector.schema.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(generated)),
    );
  });
});
