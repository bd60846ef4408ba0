import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { afterAll, describe, expect, it } from 'vitest';
import { TributaryError } from '../errors/tributary-error.js';
import { address } from './address.js';
import { byteSize } from './byte-size.js';
import { duration } from './duration.js';
import { type FieldProblem, fieldCheck } from './field-check.js';
import { filePath } from './file-path.js';
import { generateJsonSchema } from './json-schema.js';
import { loadConfig, parseConfig } from './load-config.js';

const source = v.variant('kind', [
  v.strictObject({
    kind: v.literal('serial'),
    device: v.pipe(v.string(), v.description('the serial device')),
    baudRate: v.optional(v.pipe(v.number(), v.integer(), v.minValue(300)), 9600),
  }),
  v.strictObject({ kind: v.literal('replay'), file: filePath() }),
]);

const schema = v.pipe(
  v.strictObject({
    server: v.pipe(address(), v.description('where the collector listens')),
    buffer: v.strictObject({ path: filePath(), bytesMax: v.optional(byteSize({ minBytes: 65_536 }), '64MiB') }),
    sources: v.array(source),
    live: v.optional(v.pipe(v.boolean(), v.description('whether readings are sent at once')), true),
    labels: v.optional(
      v.record(v.pipe(v.string(), v.regex(/^[a-z]+$/, 'not a label name; write letters')), v.string()),
      {},
    ),
    keep: v.optional(v.union([duration(), v.strictObject({ time: v.optional(duration(), '1s') })])),
    flush: v.optional(v.pipe(duration({ maxMs: 3_600_000 }), v.description('how long a batch may wait')), '5s'),
  }),
  fieldCheck(function* (config): Generator<FieldProblem> {
    const files = new Set<string>();
    for (const [index, entry] of config.sources.entries()) {
      if (entry.kind !== 'replay') continue;
      const message = 'the same file as another source; give each source a file of its own';
      if (files.has(entry.file)) yield { path: ['sources', index, 'file'], message };
      files.add(entry.file);
    }
  }),
);

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(TributaryError);
    expect((error as TributaryError).code).toBe('config');
    return (error as TributaryError).message;
  }
  throw new Error('nothing was refused');
}

describe('a wrong configuration', () => {
  // The sources' folder: the compiler does not copy YAML.
  const folder = fileURLToPath(new URL('../../config/bad/', import.meta.url));
  for (const file of readdirSync(folder)) {
    it(`is refused with place, reason and remedy: ${file}`, () => {
      const text = readFileSync(join(folder, file), 'utf8');
      const expected = [...text.matchAll(/^# expected: (.*)$/gm)].map(([, line]) => `${file}:${line}`);
      expect(expected).not.toHaveLength(0);
      expect(messageOf(() => parseConfig(text, file, schema)).split('\n')).toEqual(expected);
    });
  }

  it('shows twenty problems and says how many more there are', () => {
    const text = Array.from({ length: 30 }, (_, index) => `key${index}: 1\n`).join('');
    const lines = messageOf(() => parseConfig(text, 'a.yaml', schema)).split('\n');
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('a.yaml: 13 more problems are not shown; correct these first');
  });

  it('is refused when it is empty or nested without end', () => {
    expect(messageOf(() => parseConfig('', 'a.yaml', schema))).toContain('the file is empty');
    expect(messageOf(() => parseConfig('['.repeat(100_000), 'a.yaml', schema))).toMatch(
      /nested too deeply|not valid YAML/,
    );
  });

  it('cannot reach the prototype of anything', () => {
    messageOf(() => parseConfig('__proto__: { polluted: true }\n', 'a.yaml', schema));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('a right configuration', () => {
  it('comes with units resolved, defaults filled in and paths made absolute', () => {
    const text =
      'server: "[::1]:4443"\nbuffer: { path: data/x.db }\nsources: [{ kind: serial, device: /dev/ttyUSB0 }]\nflush: 250ms\n';
    expect(parseConfig(text, '/etc/tributary/agent.yaml', schema)).toEqual({
      server: { host: '::1', port: 4443 },
      buffer: { path: '/etc/tributary/data/x.db', bytesMax: 67_108_864 },
      sources: [{ kind: 'serial', device: '/dev/ttyUSB0', baudRate: 9600 }],
      live: true,
      labels: {},
      flush: 250,
    });
  });
});

describe('a configuration file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tributary-config-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  it('is refused by name when it is missing, a directory, too large or no text', () => {
    const missing = join(dir, 'none.yaml');
    expect(messageOf(() => loadConfig(missing, schema))).toBe(
      `${missing}: no such file or directory; name a file that is there and can be read`,
    );
    const directory = join(dir, 'dir');
    mkdirSync(directory);
    expect(messageOf(() => loadConfig(directory, schema))).toContain(`${directory}: it is a directory`);
    const large = join(dir, 'large.yaml');
    writeFileSync(large, ' '.repeat(1024 * 1024 + 1));
    expect(messageOf(() => loadConfig(large, schema))).toBe(
      `${large}: it is larger than 1 MiB; that is no configuration`,
    );
    const binary = join(dir, 'binary.yaml');
    writeFileSync(binary, Buffer.from([0x61, 0xff, 0xfe]));
    expect(messageOf(() => loadConfig(binary, schema))).toContain('it is not UTF-8 text');
  });

  // Root reads everything.
  it.skipIf(process.getuid?.() === 0)('is refused by name when it cannot be read', () => {
    const closed = join(dir, 'closed.yaml');
    writeFileSync(closed, 'server: a:1\n');
    chmodSync(closed, 0o000);
    expect(messageOf(() => loadConfig(closed, schema))).toBe(
      `${closed}: permission denied; name a file that is there and can be read`,
    );
  });
});

describe('the JSON Schema of a configuration', () => {
  it('says what the file may hold, with descriptions and defaults as one writes them', async () => {
    const json = await generateJsonSchema(schema, 'an example');
    expect(json).toMatchObject({
      title: 'an example',
      type: 'object',
      additionalProperties: false,
      required: ['server', 'buffer', 'sources'],
      properties: {
        server: { type: 'string', description: 'where the collector listens' },
        flush: { type: 'string', default: '5s', description: 'how long a batch may wait' },
        buffer: { properties: { bytesMax: { type: 'string', default: '64MiB' } } },
        live: { type: 'boolean', default: true },
      },
    });
  });
});
