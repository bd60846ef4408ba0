import type { Fault } from './fault.js';
import { agentKilled } from './fault-01-agent-killed.js';
import { collectorKilled } from './fault-02-collector-killed.js';
import { powerCutAgent } from './fault-05-power-cut-agent.js';
import { powerCutCollector } from './fault-06-power-cut-collector.js';
import { failpoints } from './fault-07-failpoints.js';
import { storeCallsFail } from './fault-08-store-calls-fail.js';
import { fsyncFails } from './fault-09-fsync-fails.js';
import { diskFull } from './fault-10-disk-full.js';
import { collectorDiskFull } from './fault-11-collector-disk-full.js';
import { diskReadOnly } from './fault-12-disk-read-only.js';
import { bitFlips } from './fault-13-bit-flips.js';
import { truncation } from './fault-14-truncation.js';
import { lostLog } from './fault-15-lost-log.js';
import { foreignFile } from './fault-16-foreign-file.js';
import { earlierVersions } from './fault-17-earlier-versions.js';
import { secondAgent } from './fault-18-second-agent.js';
import { forkedBuffer } from './fault-19-forked-buffer.js';
import { memoryLimit } from './fault-20-memory-limit.js';
import { linkDown } from './fault-21-link-down.js';
import { silentLink } from './fault-22-silent-link.js';
import { resetAtByte } from './fault-23-reset-at-byte.js';
import { acknowledgementLost } from './fault-24-acknowledgement-lost.js';
import { longThinLink } from './fault-25-long-thin-link.js';
import { collectorStopped } from './fault-26-collector-stopped.js';
import { frozenSubscribers } from './fault-27-frozen-subscribers.js';
import { connectionsAgedOut } from './fault-28-connections-aged-out.js';
import { collectorRestarting } from './fault-29-collector-restarting.js';
import { fleetReturns } from './fault-30-fleet-returns.js';
import { backlogAgainstLive } from './fault-31-backlog-against-live.js';
import { poisonBatch } from './fault-32-poison-batch.js';
import { oneDeviceTooMany } from './fault-33-one-device-too-many.js';
import { clockSteps } from './fault-38-clock-steps.js';
import { bootsWithoutTime } from './fault-39-boots-without-time.js';
import { soak } from './fault-44-soak.js';
import { bufferModel } from './fault-45-buffer-model.js';
import { backupAndRestore } from './fault-47-backup-and-restore.js';
import { sigterm } from './fault-48-sigterm.js';

/** The rows of the fault list that can be run, in order of their numbers; one line each. */
export const faults: readonly Fault[] = [
  agentKilled,
  collectorKilled,
  powerCutAgent,
  powerCutCollector,
  failpoints,
  storeCallsFail,
  fsyncFails,
  diskFull,
  collectorDiskFull,
  diskReadOnly,
  bitFlips,
  truncation,
  lostLog,
  foreignFile,
  earlierVersions,
  secondAgent,
  forkedBuffer,
  memoryLimit,
  linkDown,
  silentLink,
  resetAtByte,
  acknowledgementLost,
  longThinLink,
  collectorStopped,
  frozenSubscribers,
  connectionsAgedOut,
  collectorRestarting,
  fleetReturns,
  backlogAgainstLive,
  poisonBatch,
  oneDeviceTooMany,
  clockSteps,
  bootsWithoutTime,
  soak,
  bufferModel,
  backupAndRestore,
  sigterm,
];
