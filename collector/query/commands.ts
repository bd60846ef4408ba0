import { existsSync } from 'node:fs';
import { loadConfig } from '@tributary/core/config/load-config';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { createLogger } from '@tributary/core/log/logger';
import type { AuditResponse, EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import type { Command } from 'commander';
import type { Store } from '../store/store.js';
import type { Answer } from './query-answers.js';
import type { ClientFlags } from './query-client.js';
import { connection, device, format, parseCount, range } from './question-flags.js';
import type { Format } from './row-writer.js';

interface QueryFlags extends ClientFlags {
  format: Format;
  device?: string;
  series?: string;
  from?: number;
  until?: number;
  limit?: number;
  step?: number;
  firing?: boolean;
}

interface AuditFlags extends ClientFlags {
  device?: string;
  store?: string;
  json?: boolean;
}

/**
 * Adds `query devices | series | readings | rollups | alerts`, `audit` and `rebuild-rollups`; answers `query`, for further
 * questions. Failures reject with a `TributaryError`. What a command needs is loaded when it runs.
 */
export function addQueryCommands(program: Command): Command {
  const query = program.command('query').description('read what a collector has stored, as an operator or a device');

  answering(query.command('devices').description('devices and what is stored of them'), (answers) => answers.devices);
  answering(
    device(query.command('series').description('series of the devices'), 'pattern of devices').option(
      '--series <pattern>',
      'pattern of series names',
    ),
    (answers) => answers.series,
  );
  answering(
    range(ofSeries(query.command('readings').description('raw readings, each series in order of time'))).option(
      '--limit <number>',
      'at most so many readings',
      parseCount,
    ),
    (answers) => answers.readings,
  );
  answering(
    range(
      ofSeries(query.command('rollups').description('count, minimum, maximum, mean, first and last per step')),
    ).option('--step <seconds>', 'a multiple of 60', parseCount, 60),
    (answers) => answers.rollups,
  );
  answering(
    range(device(query.command('alerts').description('incident transitions'), 'one device')).option(
      '--firing',
      'only incidents that are firing now',
    ),
    (answers) => answers.alerts,
  );

  connection(program.command('audit').description('prove that every reading is stored once, or declared lost'))
    .option('--device <name>', 'one device')
    .option('--store <file>', 'the SQLite store of a collector that is stopped, instead of asking one that runs')
    .option('--json', 'one JSON object')
    .action(async (flags: AuditFlags) => {
      const { reportAudit } = await import('./audit-report.js');
      const epochs = flags.store === undefined ? await askAudit(flags) : await auditFile(flags.store, flags.device);
      const { text, passes } = reportAudit(epochs, flags.json === true);
      process.stdout.write(text);
      if (!passes) process.exitCode = 1;
    });

  program
    .command('rebuild-rollups')
    .description('make all rollups anew from the stored readings, while the collector is stopped')
    .requiredOption('--config <file>', "the collector's configuration")
    .action(async ({ config }: { config: string }) => {
      const { collectorSchema } = await import('../config/schema.js');
      const { rebuildRollups } = await import('../rollups/rebuild.js');
      const { store: settings, log } = loadConfig(config, collectorSchema);
      const { path } = settings.sqlite;
      await withStore(path, (store) => rebuildRollups(store, createLogger('rebuild-rollups', log.level)));
      process.stdout.write(`${path}: the rollups were made anew\n`);
    });
  return query;
}

/** An operator names the device; the readings and rollups of a device are asked for one at a time. */
function ofSeries(command: Command): Command {
  return command
    .requiredOption('--device <name>', 'the device, as DEVICE or TENANT/DEVICE')
    .option('--series <pattern>', 'pattern of series names');
}

function answering(command: Command, pick: (answers: typeof import('./query-answers.js')) => Answer): void {
  format(connection(command)).action(async (flags: QueryFlags) => {
    const answers = await import('./query-answers.js');
    const { connectQueryClient } = await import('./query-client.js');
    const client = await connectQueryClient(flags);
    try {
      await pick(answers)(client, questionOf(flags), process.stdout, flags.format);
    } catch (error) {
      throw TributaryError.from(error);
    } finally {
      client.close();
    }
  });
}

function questionOf(flags: QueryFlags) {
  return {
    device: flags.device ?? '',
    series: flags.series ?? '',
    fromUs: flags.from ?? 0,
    untilUs: flags.until ?? 0,
    limit: flags.limit ?? 0,
    stepSeconds: flags.step ?? 60,
    firingOnly: flags.firing === true,
  };
}

async function askAudit(flags: AuditFlags): Promise<EpochAudit[]> {
  const { ask, connectQueryClient } = await import('./query-client.js');
  const client = await connectQueryClient(flags);
  try {
    const request = { device: flags.device ?? '' };
    return (await ask<AuditResponse>((done) => client.audit(request, done))).epochs;
  } finally {
    client.close();
  }
}

async function auditFile(file: string, reference: string | undefined): Promise<EpochAudit[]> {
  const { parseDeviceReference } = await import('./read-scope.js');
  return withStore(file, async (store) => {
    if (reference === undefined) return store.audit(undefined);
    const deviceId = await store.findDevice(parseDeviceReference(reference));
    if (deviceId === undefined) throw new TributaryError('not-found', `${file} has no device ${reference}`);
    return store.audit(deviceId);
  });
}

async function withStore<T>(path: string, use: (store: Store) => Promise<T>): Promise<T> {
  const { SqliteStore } = await import('../store/sqlite/sqlite-store.js');
  const { commandErrorOf, StoreError } = await import('../store/store-error.js');
  if (!existsSync(path))
    throw new TributaryError('not-found', `${path}: there is no store; name the SQLite file of a collector`);
  try {
    const store = await SqliteStore.open({ path });
    try {
      return await use(store);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw commandErrorOf(error, path);
  }
}
