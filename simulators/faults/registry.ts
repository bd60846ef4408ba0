import type { Fault } from './fault.js';
import { agentKilled } from './fault-01-agent-killed.js';
import { collectorKilled } from './fault-02-collector-killed.js';
import { linkDown } from './fault-21-link-down.js';
import { silentLink } from './fault-22-silent-link.js';
import { resetAtByte } from './fault-23-reset-at-byte.js';
import { acknowledgementLost } from './fault-24-acknowledgement-lost.js';
import { longThinLink } from './fault-25-long-thin-link.js';
import { collectorStopped } from './fault-26-collector-stopped.js';
import { connectionsAgedOut } from './fault-28-connections-aged-out.js';
import { collectorRestarting } from './fault-29-collector-restarting.js';
import { soak } from './fault-44-soak.js';
import { bufferModel } from './fault-45-buffer-model.js';
import { sigterm } from './fault-48-sigterm.js';

/** The rows of the fault list that can be run, in order of their numbers; one line each. */
export const faults: readonly Fault[] = [
  agentKilled,
  collectorKilled,
  linkDown,
  silentLink,
  resetAtByte,
  acknowledgementLost,
  longThinLink,
  collectorStopped,
  connectionsAgedOut,
  collectorRestarting,
  soak,
  bufferModel,
  sigterm,
];
