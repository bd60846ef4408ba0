import { address } from '@tributary/core/config/address';
import { byteSize } from '@tributary/core/config/byte-size';
import { duration } from '@tributary/core/config/duration';
import { type FieldProblem, fieldCheck } from '@tributary/core/config/field-check';
import { filePath } from '@tributary/core/config/file-path';
import { isTrustDomain } from '@tributary/core/identity/spiffe-id';
import { logLevels } from '@tributary/core/log/logger';
import * as v from 'valibot';
import { defaultIngestLimits } from '../ingest/ingest-limits.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;

function count(min: number, max: number) {
  const remedy = `write a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(`not a number; ${remedy}`),
    v.integer(`not a whole number; ${remedy}`),
    v.minValue(min, `too small; ${remedy}`),
    v.maxValue(max, `too large; ${remedy}`),
  );
}

const tls = v.strictObject({
  ca: v.pipe(filePath(), v.description('PEM file of the CA that issued the devices and operators')),
  cert: v.pipe(filePath(), v.description("PEM file of this collector's certificate")),
  key: v.pipe(filePath(), v.description('PEM file of its private key, readable by its owner alone (chmod 600)')),
});

const store = v.strictObject({
  sqlite: v.strictObject({
    path: v.pipe(filePath(), v.description('database file; made with its folder when it is missing')),
    // A year of a thousand readings a second at 2 bytes each.
    maxSize: v.optional(
      v.pipe(
        byteSize({ minBytes: 16 * MIB }),
        v.description(
          'how large the database may become; at this devices keep their data until retention has made room',
        ),
      ),
      '64GiB',
    ),
  }),
});

const retention = v.strictObject({
  // A month of raw readings answers most questions; rollups stay.
  readings: v.optional(
    v.pipe(
      v.union([v.literal('forever'), duration({ minMs: 3_600_000, maxMs: 36_500 * DAY_MS })]),
      v.description(
        'raw readings whose event time is older are removed, and stand in the ledger as expired; or forever',
      ),
    ),
    '30d',
  ),
  // A year, and the same month of the year before. A series takes 62 MB a year.
  rollups: v.optional(
    v.pipe(
      v.union([v.literal('forever'), duration({ minMs: DAY_MS, maxMs: 36_500 * DAY_MS })]),
      v.description('rollups that begin before are removed; or forever'),
    ),
    '400d',
  ),
  alerts: v.optional(
    v.pipe(
      v.union([v.literal('forever'), duration({ minMs: DAY_MS, maxMs: 36_500 * DAY_MS })]),
      v.description(
        'incidents that ended before are removed with their alerts and history, and old silences; or forever',
      ),
    ),
    '400d',
  ),
});

const limits = v.strictObject({
  // The defaults and their reasons stand in ingest/ingest-limits.ts; the ranges keep them sensible together.
  itemBytes: v.optional(
    v.pipe(byteSize({ minBytes: 4 * KIB, maxBytes: MIB - KIB }), v.description('largest body of one item')),
    '512KiB',
  ),
  batchReadings: v.optional(
    v.pipe(count(100, 262_144), v.description('most readings in one batch')),
    defaultIngestLimits.batchReadingsMax,
  ),
  streamBytes: v.optional(
    v.pipe(byteSize({ minBytes: MIB, maxBytes: 16 * MIB }), v.description('most bytes of one upload stream')),
    '1MiB',
  ),
  inFlight: v.optional(
    v.pipe(
      byteSize({ minBytes: 16 * MIB, maxBytes: 16 * 1024 * MIB }),
      v.description('memory for what was received and is not committed; beyond it devices wait'),
    ),
    '192MiB',
  ),
  deviceInFlight: v.optional(
    v.pipe(
      byteSize({ minBytes: 2 * MIB, maxBytes: 1024 * MIB }),
      v.description('the same for one device, so that one cannot starve the others'),
    ),
    '16MiB',
  ),
  devices: v.optional(
    v.pipe(count(1, 1_000_000), v.description('devices whose registration is kept in memory, about 5 kB each')),
    defaultIngestLimits.devicesMax,
  ),
  seriesPerDevice: v.optional(
    v.pipe(count(1, 100_000), v.description('most series of one device')),
    defaultIngestLimits.seriesPerDeviceMax,
  ),
  // An agent has one upload, one watch and a call or two open; operators ask in parallel.
  streamsPerConnection: v.optional(v.pipe(count(4, 1000), v.description('most calls at a time on one connection')), 64),
  backfillBytesPerSecond: v.optional(
    v.pipe(
      byteSize({ maxBytes: 1024 * MIB }),
      v.description('what the backlog of one device may take a second; 0B is no limit'),
    ),
    '0B',
  ),
  // A handshake costs 1.4 ms of a core: at 200 a second a quarter of it. 20,000 devices are back in 100 s.
  handshakesPerSecond: v.optional(
    v.pipe(count(1, 10_000), v.description('new connections a second; the others wait, or are told to come again')),
    200,
  ),
  // An idle connection with one stream takes 92 kB: 10,000 are 920 MB.
  connections: v.optional(
    v.pipe(count(1, 1_000_000), v.description('most connections at a time, about 92 kB each')),
    10_000,
  ),
  // An agent has one, four on a long link, and as many that are dead and not known to be after a change of network.
  connectionsPerDevice: v.optional(
    v.pipe(count(1, 1000), v.description('most connections of one device; the oldest gives way to a newer one')),
    8,
  ),
  // Seconds are for trials: a stream that is open at the end is answered all the same.
  connectionAge: v.optional(
    v.pipe(
      duration({ minMs: 1000, maxMs: 7 * DAY_MS }),
      v.description(
        'connections are ended after about this, so that devices spread over new replicas; never when absent',
      ),
    ),
  ),
});

const fields = v.strictObject({
  listen: v.optional(v.pipe(address({ anyPort: true }), v.description('where devices call')), '0.0.0.0:4443'),
  tls: v.pipe(tls, v.description('mutual TLS 1.3; there is no other mode')),
  trustDomain: v.pipe(
    v.string('not a trust domain; write a name such as example.org'),
    v.check(
      isTrustDomain,
      'not a trust domain; write lower-case letters, digits, dots and dashes, such as example.org',
    ),
    v.description('trust domain of the SPIFFE ids in the certificates'),
  ),
  store: v.pipe(store, v.description('where everything is kept')),
  rules: v.optional(v.pipe(filePath(), v.description('file of alert rules'))),
  retention: v.optional(v.pipe(retention, v.description('how long readings are kept')), {}),
  limits: v.optional(v.pipe(limits, v.description('what is taken, whatever a peer sends')), {}),
  health: v.optional(
    v.strictObject({
      listen: v.optional(
        v.pipe(
          address({ anyPort: true }),
          v.description('HTTP for /metrics, /healthz and /readyz; keep it on loopback'),
        ),
        '127.0.0.1:9465',
      ),
    }),
    {},
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(
        v.pipe(
          v.picklist(logLevels, `not a level; write one of ${logLevels.join(', ')}`),
          v.description('how much is logged; error means that data was lost'),
        ),
        'info',
      ),
    }),
    {},
  ),
});

/** The collector's configuration file. */
export const collectorSchema = v.pipe(fields, fieldCheck<v.InferOutput<typeof fields>>(checkTogether));

/** A checked configuration: paths absolute, sizes in bytes, durations in milliseconds. */
export type CollectorConfig = v.InferOutput<typeof collectorSchema>;

function* checkTogether({ limits }: v.InferOutput<typeof fields>): Iterable<FieldProblem> {
  if (limits.deviceInFlight < limits.streamBytes) {
    const message = 'less than one stream; make it at least as large as streamBytes';
    yield { path: ['limits', 'deviceInFlight'], message };
  }
  if (limits.inFlight < limits.deviceInFlight) {
    yield {
      path: ['limits', 'inFlight'],
      message: 'less than one device may have; raise it or lower deviceInFlight',
    };
  }
}
