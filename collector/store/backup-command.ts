import { loadConfig } from '@tributary/core/config/load-config';
import type { Command } from 'commander';

interface BackupFlags {
  config: string;
  to: string;
}

interface RestoreFlags {
  config: string;
  from: string;
}

/** Adds `backup` and `restore`. Failures reject with a `TributaryError` or a `StoreError`. */
export function addBackupCommands(program: Command): void {
  const config = "the collector's configuration";
  program
    .command('backup')
    .description('copy the store into one file, beside a collector that runs, and prove that the copy is whole')
    .requiredOption('--config <file>', config)
    .requiredOption('--to <file>', 'the copy; one that is there is replaced when the new one is whole')
    .action(async (flags: BackupFlags) => {
      const { backUp } = await import('./sqlite/backup.js');
      const { reportAudit } = await import('../query/audit-report.js');
      const { epochs } = backUp(await storePath(flags.config), flags.to);
      const { summary, passes } = reportAudit(epochs, false);
      process.stdout.write(`${flags.to}: ${summary}\n`);
      if (!passes) process.exitCode = 1;
    });

  program
    .command('restore')
    .description('put a backup in the place of a store that is gone, while no collector runs')
    .requiredOption('--config <file>', config)
    .requiredOption('--from <file>', 'a copy that backup made')
    .action(async (flags: RestoreFlags) => {
      const { restore } = await import('./sqlite/backup.js');
      const { reportAudit } = await import('../query/audit-report.js');
      const path = await storePath(flags.config);
      const { summary } = reportAudit(restore(flags.from, path).epochs, false);
      const next = 'what came after the backup shows as missing once devices send again';
      process.stdout.write(`${path}: ${summary}\n${next}\n`);
    });
}

async function storePath(configFile: string): Promise<string> {
  const { collectorSchema } = await import('../config/schema.js');
  return loadConfig(configFile, collectorSchema).store.sqlite.path;
}
