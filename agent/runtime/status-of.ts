import { formatAddress } from '@tributary/core/config/address';
import type { AlertDesk } from '../alerts/alert-desk.js';
import type { Batcher } from '../batching/batcher.js';
import type { AgentConfig } from '../config/schema.js';
import type { AgentStatus } from '../health/agent-status.js';
import { flashWear } from '../health/flash-wear.js';
import type { BatchWriter } from './batch-writer.js';
import type { ConnectionSettings } from './connection-settings.js';
import type { DropCounter } from './drop-counter.js';
import type { EventualBuffer } from './eventual-buffer.js';
import type { RulesHost } from './rules-host.js';
import type { SourceRunner } from './source-runner.js';
import type { Upstream } from './upstream.js';

/** What an agent's status is about. */
export interface StatusParts {
  config: AgentConfig;
  connection: ConnectionSettings;
  sources: SourceRunner;
  batcher: Batcher;
  writer: BatchWriter;
  drops: DropCounter;
  buffer: EventualBuffer;
  rules: RulesHost;
  desk: AlertDesk;
  /** Undefined until it has been loaded. */
  upstream: Upstream | undefined;
  /** Which version, and when: by the monotonic clock in milliseconds, and as text. */
  started: { version: string; ms: number; at: string };
  /** Number of the newest alert that the buffer had at the start. */
  alertCursor: number;
}

/** What an agent says about itself, at a moment of the monotonic clock. */
export async function statusOf(parts: StatusParts, nowMs: number): Promise<AgentStatus> {
  const { config, connection, sources, batcher, writer, drops, buffer, rules, desk, upstream, started } = parts;
  const stored = await buffer.status();
  const uptimeSeconds = (nowMs - started.ms) / 1000;
  const wear = flashWear(stored, writer.counters.readings, uptimeSeconds, config.buffer.cardEndurance);
  const state = upstream?.uplink.state ?? { state: 'stopped' as const };
  const counters = upstream?.uplink.counters;
  const lastSuccessMs = counters?.lastSuccessMs;
  return {
    version: started.version,
    device: connection.device,
    collector: formatAddress(connection.address),
    startedAt: started.at,
    uptimeSeconds,
    rssBytes: process.memoryUsage.rss(),
    sources: sources.reports,
    readings: {
      taken: writer.counters.readings,
      dropped: {
        ...drops.counts,
        ...(writer.counters.readingsLost > 0 ? { lost: writer.counters.readingsLost } : {}),
      },
      pending: batcher.pendingReadings + writer.pendingReadings,
    },
    batches: { closed: writer.counters.closed, bytes: writer.counters.bytes },
    buffer: {
      epoch: Buffer.from(stored.epoch).toString('hex'),
      items: stored.itemsWaiting,
      readings: stored.readingsWaiting,
      bytes: stored.bytesWaiting,
      quotaBytes: buffer.isOnStandby ? stored.quotaBytes : config.buffer.quota,
      oldestSequence: stored.oldestSequence,
      highestSequence: stored.highestSequence,
      readingsProduced: stored.readingsProduced,
      readingsEvicted: stored.readingsEvicted,
      readingsThinned: stored.readingsThinned,
      itemsQuarantined: stored.itemsQuarantined,
      bytesWritten: stored.bytesWritten,
      blockBytesWritten: stored.blockBytesWritten,
      ...(wear === undefined ? {} : { wear }),
      ...(buffer.trouble === undefined ? {} : { trouble: buffer.trouble }),
      ...(buffer.isOnStandby ? { standby: true as const } : {}),
      appendFailures: writer.counters.appendFailures,
    },
    uplink: {
      state: state.state,
      ...('why' in state ? { why: state.why } : {}),
      connects: counters?.connects ?? 0,
      connectFailures: counters?.connectFailures ?? 0,
      registrations: counters?.registrations ?? 0,
      streams: {
        answered: counters?.streamsAnswered ?? 0,
        deferred: counters?.streamsDeferred ?? 0,
        broken: counters?.streamsBroken ?? 0,
      },
      itemsAcknowledged: counters?.itemsAcknowledged ?? 0,
      itemsRejected: counters?.itemsRejected ?? 0,
      epochsOpened: counters?.epochsOpened ?? 0,
      itemsForgotten: counters?.itemsForgotten ?? 0,
      backlog: upstream?.uplink.forecast(stored) ?? { trend: 'unknown' },
      ...(lastSuccessMs === undefined ? {} : { lastSuccessAgeSeconds: (nowMs - lastSuccessMs) / 1000 }),
    },
    ...(rules.status === undefined ? {} : { rules: rules.status }),
    alerts: {
      cursor: upstream?.alerts.cursor ?? parts.alertCursor,
      received: upstream?.alerts.counters.received ?? 0,
      repeated: upstream?.alerts.counters.repeated ?? 0,
      damagedIntents: desk.damagedIntents,
      actions: desk.actions,
      statuses: desk.statuses,
    },
  };
}
