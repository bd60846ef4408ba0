import { loadRules } from '@tributary/core/rules/rule';
import { readReceiverFiles } from '../notify/receiver-files.js';
import { collectorTls } from '../server/collector-tls.js';
import type { CollectorConfig } from './schema.js';

/** Checks what a configuration names. Throws a `TributaryError` that says what is wrong and what would be right. */
export function validate(config: CollectorConfig): void {
  collectorTls(config.tls, config.trustDomain);
  if (config.rules !== undefined) loadRules(config.rules);
  for (const receiver of config.notify.receivers) readReceiverFiles(receiver);
}
