import type { ActionReport } from '../alerts/action-core.js';
import type { ShownStatus } from '../alerts/status-board.js';
import type { RulesStatus } from '../rules/rules-status.js';
import type { SourceState } from '../sensors/source.js';
import type { FlashWear } from './flash-wear.js';

/** What an agent says about itself: over the status socket, and the numbers of it as metrics. All counts since its start. */
export interface AgentStatus {
  version: string;
  /** The SPIFFE id of its certificate. */
  device: string;
  collector: string;
  startedAt: string;
  uptimeSeconds: number;
  rssBytes: number;
  sources: { name: string; state: SourceState['state']; why?: string }[];
  readings: {
    /** Taken into batches. */
    taken: number;
    /** Not taken, by reason. */
    dropped: Record<string, number>;
    /** In memory, not in the buffer yet. */
    pending: number;
  };
  batches: { closed: number; bytes: number };
  buffer: {
    epoch: string;
    items: number;
    readings: number;
    bytes: number;
    quotaBytes: number;
    oldestSequence: number;
    highestSequence: number;
    readingsProduced: number;
    readingsEvicted: number;
    readingsThinned: number;
    itemsQuarantined: number;
    bytesWritten: number;
    blockBytesWritten: number;
    /** Absent until it is known. */
    wear?: FlashWear;
    /** Why the disk cannot be used now; the other values are the last that were known, or those of `standby`. */
    trouble?: string;
    /** The disk has taken nothing for so long that readings wait in memory, and are sent from there. */
    standby?: true;
    /** Appends that failed and were tried again. */
    appendFailures: number;
  };
  uplink: {
    state: string;
    why?: string;
    connects: number;
    connectFailures: number;
    registrations: number;
    streams: Record<'answered' | 'deferred' | 'broken', number>;
    itemsAcknowledged: number;
    itemsRejected: number;
    epochsOpened: number;
    /** Items that the collector had called durable and does not have any more. */
    itemsForgotten: number;
    backlog: {
      /** `current` when no more waits than half a minute brings. */
      trend: 'current' | 'draining' | 'growing' | 'unknown';
      /** Acknowledged minus produced, over the last minute; absent while it is not known. */
      readingsPerSecond?: number | undefined;
      /** Until nothing waits; absent unless the backlog is draining, 0 when there is none. */
      etaSeconds?: number | undefined;
    };
    /** Since the last answer that made progress; absent before the first. */
    lastSuccessAgeSeconds?: number;
  };
  /** Rules that the device evaluates by itself; absent while there are none. */
  rules?: RulesStatus;
  alerts: {
    cursor: number;
    received: number;
    repeated: number;
    /** Actions that an earlier start has left, and whose rows in the buffer are damaged: skipped. */
    damagedIntents: number;
    /** What was done about alerts since the start, by action. */
    actions: ActionReport[];
    statuses: ShownStatus[];
  };
}
