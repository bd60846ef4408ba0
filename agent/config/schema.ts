import { isIP } from 'node:net';
import { address } from '@tributary/core/config/address';
import { byteSize } from '@tributary/core/config/byte-size';
import { duration } from '@tributary/core/config/duration';
import { type FieldProblem, fieldCheck } from '@tributary/core/config/field-check';
import { filePath } from '@tributary/core/config/file-path';
import { logLevels } from '@tributary/core/log/logger';
import * as v from 'valibot';
import { alertActionsSchema, writeProblems } from '../alerts/schema.js';
import { BATCH_BYTES_MAX, BATCH_READINGS_MAX } from '../batching/batch-bounds.js';
import { sourcesSchema } from '../sensors/schema.js';

/** Attributes travel with each registration and are what operators filter by; more of them is a database. */
const labelsMax = 32;

const labelForm = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** Names that the agent itself gives to attributes. */
const reservedLabels = ['site', 'timezone', 'tenant', 'device'];

const text = (what: string, example: string, max: number) =>
  v.pipe(
    v.string(`not ${what}; write text, such as ${example}`),
    v.nonEmpty(`empty; write ${what}, such as ${example}, or leave the field out`),
    v.maxLength(max, `too long; at most ${max} characters`),
  );

const timezone = v.pipe(
  text('a time zone', 'Europe/Berlin', 64),
  v.check(isTimezone, 'not a time zone; write a name of the IANA database, such as Europe/Berlin or UTC'),
);

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

const labels = v.pipe(
  v.record(
    v.string(),
    v.pipe(v.string('not text; put it in quotes'), v.maxLength(128, 'too long; at most 128 characters')),
  ),
  v.check((all) => Object.keys(all).length <= labelsMax, `too many labels; at most ${labelsMax}`),
  v.description('further attributes of the device, such as line: "7"; at most 32'),
);

function* labelProblems(names: Readonly<Record<string, string>>): Iterable<FieldProblem> {
  for (const name of Object.keys(names)) {
    if (!labelForm.test(name)) yield { path: [name], message: 'not a label name; write letters, digits and _' };
    if (reservedLabels.includes(name)) {
      yield { path: [name], message: `a reserved name; ${reservedLabels.join(', ')} are taken` };
    }
  }
}

const deviceSchema = v.strictObject({
  site: v.optional(
    v.pipe(text('a site', 'plant-3', 128), v.description('where the device is; operators filter by it')),
  ),
  timezone: v.optional(v.pipe(timezone, v.description('IANA time zone of the site, for local days at the collector'))),
  labels: v.optional(v.pipe(labels, fieldCheck<v.InferOutput<typeof labels>>(labelProblems)), {}),
});

const collectorSchema = v.strictObject({
  address: v.pipe(address(), v.description('HOST:PORT of the collector')),
  serverName: v.optional(
    v.pipe(
      text('a name', 'collector.example.org', 253),
      v.description("name in the collector's certificate, where it is not the host of address"),
    ),
  ),
  streamAge: v.optional(
    v.pipe(
      duration({ minMs: 0, maxMs: 5000 }),
      v.description(
        'how long an upload stream stays open for further batches, 0s to 5s; alerts do not wait for it, only the answer by which readings leave the buffer',
      ),
    ),
    '5s',
  ),
});

const tlsSchema = v.strictObject({
  ca: v.pipe(filePath(), v.description("PEM file of the CA that issued the collector's certificate")),
  cert: v.pipe(filePath(), v.description("PEM file of this device's certificate, which says who it is")),
  key: v.pipe(filePath(), v.description('PEM file of its private key, readable by its owner alone')),
});

const bufferSchema = v.strictObject({
  path: v.pipe(filePath(), v.description('SQLite file that keeps readings until the collector has them')),
  quota: v.optional(
    v.pipe(
      // Below a mebibyte the catalogue and the log of the file leave no room for readings.
      byteSize({ minBytes: 1024 ** 2, maxBytes: 1024 ** 4 }),
      v.description(
        'how large the file may get; beyond it the oldest readings are thinned, then dropped, and declared; 1MiB to 1TiB',
      ),
    ),
    '256MiB',
  ),
  durability: v.optional(
    v.pipe(
      v.picklist(['immediate', 'deferred'], 'not a kind of durability; write immediate or deferred'),
      v.description(
        'immediate: a batch is on disk before it is sent; deferred: it is written only if it is not acknowledged within lossWindow, which spares the flash',
      ),
    ),
    'immediate',
  ),
  lossWindow: v.optional(
    v.pipe(
      // Below a second there is nothing to defer; beyond an hour nobody would call it a window.
      duration({ minMs: 1000, maxMs: 3_600_000 }),
      v.description(
        'with durability: deferred, how long a batch may wait in memory for its acknowledgement, 1s to 1h: what a power cut can take along; twice collector.streamAge or more, or batches are written before their answer comes',
      ),
    ),
    '10s',
  ),
  cardEndurance: v.optional(
    v.pipe(
      byteSize({ minBytes: 1024 ** 3, maxBytes: 1024 ** 5 }),
      v.description(
        "bytes that the buffer's flash can take over its life, 1GiB to 1024TiB, from which its remaining life is projected; the default is a 32 GB card of 1,000 erase cycles that writes eight times what it is told",
      ),
    ),
    '4TiB',
  ),
  freeSpace: v.optional(
    v.pipe(
      // A checkpoint of the buffer's own log needs a mebibyte.
      byteSize({ minBytes: 1024 ** 2, maxBytes: 1024 ** 4 }),
      v.description(
        'what the buffer leaves free of the file system, as if it were full, 1MiB to 1TiB; by default a sixteenth of it, at most 64MiB',
      ),
    ),
  ),
  standby: v.optional(
    v.union(
      [
        v.literal('off', 'write off, or an object with after and quota'),
        v.strictObject({
          after: v.optional(
            v.pipe(
              // A disk that is busy or being checked is back within seconds; a day's readings fit into no memory.
              duration({ minMs: 1000, maxMs: 86_400_000 }),
              v.description('how long the disk must have taken nothing, 1s to 24h'),
            ),
            '5m',
          ),
          quota: v.optional(
            v.pipe(
              // Less holds no batch of the largest size; more might not fit into the heap of the buffer's thread, since an item
              // of a few readings takes a kilobyte beside its hundred bytes.
              byteSize({ minBytes: 1024 ** 2, maxBytes: 16 * 1024 ** 2 }),
              v.description(
                'what readings may take then, counted as on the disk, 1MiB to 16MiB; in memory up to nine times as much where batches are tiny',
              ),
            ),
            '4MiB',
          ),
        }),
      ],
      'not a setting; write off, or an object with after and quota, such as { after: 5m }',
    ),
    { after: '5m', quota: '4MiB' },
  ),
  thinning: v.optional(
    v.union(
      [
        v.literal('off', 'write off, or an object with a window'),
        v.strictObject({
          window: v.optional(
            v.pipe(
              // A day of a series would be four readings; below a second there is nothing to leave out.
              duration({ minMs: 1000, maxMs: 86_400_000 }),
              v.description('of so much time, 1s to 24h, a series keeps its first, last, smallest and largest reading'),
            ),
            '1m',
          ),
        }),
      ],
      'not a setting; write off, or an object with a window, such as { window: 1m }',
    ),
    { window: '1m' },
  ),
  protect: v.optional(
    v.pipe(
      v.array(text('a series', 'temperature.*', 128)),
      // Each new series is matched with each of them.
      v.maxLength(256, 'too many; at most 256'),
      v.description(
        'series that a full buffer thins never and drops last; * and ? stand for any characters, at most 256',
      ),
    ),
    [],
  ),
});

const batchingFields = v.strictObject({
  maxAge: v.optional(
    v.pipe(
      duration({ minMs: 10, maxMs: 3_600_000 }),
      v.description('age at which a batch is closed while the collector is there, 10ms to 1h: what an alert waits for'),
    ),
    '1s',
  ),
  maxAgeOffline: v.optional(
    v.pipe(
      duration({ minMs: 10, maxMs: 3_600_000 }),
      v.description('the same while it is not, 10ms to 1h: what a power cut can take along; spares the flash'),
    ),
    '5s',
  ),
  maxReadings: v.optional(
    v.pipe(
      v.number('not a number; write a whole number'),
      v.integer('not a whole number'),
      v.minValue(1, 'too few; at least 1'),
      v.maxValue(BATCH_READINGS_MAX, `too many; at most ${BATCH_READINGS_MAX}`),
      v.description('readings at which a batch is closed'),
    ),
    1000,
  ),
  maxBytes: v.optional(
    v.pipe(
      byteSize({ minBytes: 1024, maxBytes: BATCH_BYTES_MAX }),
      v.description('bytes before encoding at which a batch is closed, 1KiB to 512KiB'),
    ),
    '16KiB',
  ),
});

const batchingSchema = v.pipe(
  batchingFields,
  fieldCheck<v.InferOutput<typeof batchingFields>>(function* ({ maxAge, maxAgeOffline }) {
    if (maxAgeOffline < maxAge) {
      yield { path: ['maxAgeOffline'], message: `shorter than maxAge; write at least ${maxAge}ms` };
    }
  }),
);

const off = v.literal('off', 'write off, or HOST:PORT');

const healthSchema = v.strictObject({
  metrics: v.optional(
    v.pipe(
      v.union([
        off,
        v.pipe(
          address(),
          v.check(({ host }) => isLoopback(host), loopbackRemedy()),
        ),
      ]),
      v.description('HOST:PORT on loopback where Prometheus metrics are served, or off'),
    ),
    '127.0.0.1:9464',
  ),
  socket: v.optional(
    v.pipe(
      v.union([off, filePath()], 'not a path; write the path of a Unix socket, or off'),
      v.description('Unix socket for "tributary-agent status", or off; status.sock beside the buffer by default'),
    ),
  ),
});

function loopbackRemedy(): string {
  return 'not a loopback address; metrics have no access control, so write 127.0.0.1:PORT or [::1]:PORT';
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const logSchema = v.strictObject({
  level: v.optional(
    v.pipe(
      v.picklist(logLevels, `not a level; write one of ${logLevels.join(', ')}`),
      v.description('how much is logged; error means that data was lost'),
    ),
    'info',
  ),
});

const agentFields = v.strictObject({
  device: v.optional(v.pipe(deviceSchema, v.description('what the certificate does not say about the device')), {}),
  collector: v.pipe(collectorSchema, v.description('where readings go')),
  tls: v.pipe(tlsSchema, v.description('mutual TLS 1.3; there is no plaintext mode')),
  buffer: v.pipe(bufferSchema, v.description('where readings wait')),
  batching: v.optional(v.pipe(batchingSchema, v.description('when a batch of readings is closed')), {}),
  sources: sourcesSchema,
  alerts: v.optional(alertActionsSchema, []),
  health: v.optional(v.pipe(healthSchema, v.description('how the agent is watched')), {}),
  log: v.optional(v.pipe(logSchema, v.description('the log, JSON lines on standard error')), {}),
});

/** The whole configuration of an agent. Durations are in milliseconds and sizes in bytes once it is loaded. */
export const agentSchema = v.pipe(
  agentFields,
  fieldCheck<v.InferOutput<typeof agentFields>>(({ alerts, sources }) => writeProblems(alerts, sources)),
);

export type AgentConfig = v.InferOutput<typeof agentSchema>;
