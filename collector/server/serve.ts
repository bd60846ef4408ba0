import { TributaryError } from '@tributary/core/errors/tributary-error';
import { createLogger } from '@tributary/core/log/logger';
import { startCollector } from '../collector.js';
import type { CollectorConfig } from '../config/schema.js';

/** What is left after the orderly end may take this long. */
const EXIT_MS = 1000;

/** Runs a collector until SIGTERM or SIGINT; SIGHUP reads the certificates and the rules again. A second signal ends it at once. */
export async function serve(config: CollectorConfig): Promise<void> {
  const logger = createLogger('tributary-collector', config.log.level);
  const collector = await startCollector(config, { logger });
  process.on('SIGHUP', () => {
    try {
      collector.reloadTls();
      logger.info('new connections get the certificates that are there now');
    } catch (error) {
      const { message } = TributaryError.from(error);
      logger.warn({ why: message }, 'the certificates were not reloaded; the old ones stay');
    }
    collector.reloadRules();
  });
  let asked = false;
  const told = new Promise<void>((resolve) => {
    const end = (signal: NodeJS.Signals) => {
      if (asked) process.exit(1);
      asked = true;
      logger.info({ signal }, 'told to stop');
      resolve();
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  });
  const failure = await Promise.race([told, collector.failed]);
  if (failure !== undefined) {
    logger.error({ err: failure }, 'the collector cannot go on; what was acknowledged is on disk');
    process.exitCode = 1;
  }
  await collector.stop();
  // A thread that hangs in the disk would keep the process; unref, so that this itself does not.
  setTimeout(() => process.exit(), EXIT_MS).unref();
}
