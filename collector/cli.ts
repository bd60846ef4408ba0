import { createRequire } from 'node:module';
import { loadConfig } from '@tributary/core/config/load-config';
import { type FileField, namingField, tlsFields } from '@tributary/core/config/name-field';
import { runCommand } from '@tributary/core/errors/command-failure';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Command, CommanderError } from 'commander';
import { type CollectorConfig, collectorSchema } from './config/schema.js';
import { addPkiCommand } from './identity/pki-command.js';
import { addIncidentCommands } from './incidents/incident-commands.js';
import { notifyFields } from './notify/receiver-files.js';
import { addQueryCommands } from './query/commands.js';
import { addRulesCommands } from './rules-cli/rules-command.js';
import { addBackupCommands } from './store/backup-command.js';
import { commandErrorOf, StoreError } from './store/store-error.js';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

const program = new Command('tributary-collector')
  .description('collects sensor readings from devices, and keeps account of every one')
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: () => {} });

program
  .command('serve')
  .description('take readings until it is told to stop (SIGTERM or Ctrl-C)')
  .requiredOption('--config <file>', 'configuration file')
  .action(async ({ config }: { config: string }) => {
    const { serve } = await import('./server/serve.js');
    const loaded = loadConfig(config, collectorSchema);
    await namingField(config, fileFields(loaded), () => serve(loaded));
  });

program
  .command('validate')
  .description('check a configuration, with the certificates and rules that it names, and end')
  .requiredOption('--config <file>', 'configuration file')
  .action(async ({ config }: { config: string }) => {
    const { validate } = await import('./config/validate.js');
    const loaded = loadConfig(config, collectorSchema);
    await namingField(config, fileFields(loaded), () => validate(loaded));
    process.stdout.write(`${config}: in order\n`);
  });

addPkiCommand(program);
addIncidentCommands(program, addQueryCommands(program));
addBackupCommands(program);
addRulesCommands(program);

await runCommand(async () => {
  try {
    await program.parseAsync();
  } catch (error) {
    throw asTributaryError(error);
  }
});

function fileFields({ tls, rules, notify }: CollectorConfig): FileField[] {
  return [...tlsFields(tls), { path: ['rules'], file: rules }, ...notifyFields(notify)];
}

/** Commander and the store have errors of their own; a user sees one kind. */
function asTributaryError(error: unknown): unknown {
  if (error instanceof StoreError) return commandErrorOf(error);
  if (!(error instanceof CommanderError)) return error;
  if (error.exitCode === 0) process.exit(0);
  const message =
    error.code === 'commander.help' ? 'name a command; --help lists them' : error.message.replace(/^error: /, '');
  return new TributaryError('usage', message, { cause: error });
}
