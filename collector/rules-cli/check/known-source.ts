import { loadConfig } from '@tributary/core/config/load-config';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { ClientFlags } from '../../query/query-client.js';
import { openStored } from '../open-stored.js';
import { askedSeries, type KnownSeries, storedSeries } from './known-series.js';

/** Where the known series come from: the store of a collector, by its configuration or its file, or a running collector. */
export interface SourceFlags extends Omit<ClientFlags, 'config'> {
  /** The configuration of a collector, not of a client. */
  config?: string;
  store?: string;
}

export interface KnownSource {
  series: AsyncIterable<KnownSeries>;
  close: () => Promise<void>;
}

/** Opens what the flags name; undefined when they name nothing. Rejects with a `TributaryError`. */
export async function openKnown(flags: SourceFlags): Promise<KnownSource | undefined> {
  const { config, store, ...client } = flags;
  const asksCollector = Object.values(client).some((flag) => flag !== undefined);
  if ([config !== undefined, store !== undefined, asksCollector].filter(Boolean).length > 1) {
    throw new TributaryError('usage', 'write one of --config, --store, or --address with --ca, --cert and --key');
  }
  if (asksCollector) {
    const { connectQueryClient } = await import('../../query/query-client.js');
    const connected = await connectQueryClient(client);
    return { series: askedSeries(connected), close: async () => connected.close() };
  }
  if (config === undefined && store === undefined) return undefined;
  const opened = await openStored(store ?? (await storePathOf(config!)));
  return { series: storedSeries(opened), close: () => opened.close() };
}

/** The SQLite file that a collector's configuration names. */
export async function storePathOf(configFile: string): Promise<string> {
  const { collectorSchema } = await import('../../config/schema.js');
  return loadConfig(configFile, collectorSchema).store.sqlite.path;
}
