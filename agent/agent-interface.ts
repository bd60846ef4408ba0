import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import type { Logger } from 'pino';
import type { Buffer as EdgeBuffer } from './buffer/buffer.js';
import type { AgentConfig } from './config/schema.js';
import type { AgentStatus } from './health/agent-status.js';
import type { Progress } from './health/progress.js';
import type { ConfigChanges } from './runtime/config-changes.js';
import type { HostTime } from './runtime/host-time.js';
import type { LinkFactory } from './uplink/uplink-link.js';

/** What an agent is given; everything has a default that is the real thing. */
export interface AgentDeps {
  log: Logger;
  clock?: Clock;
  /** What the machine tells about its clocks. */
  host?: HostTime;
  scheduler?: Scheduler;
  random?: Random;
  /** A buffer that is being opened already; the agent closes it. */
  buffer?: Promise<EdgeBuffer>;
  connect?: LinkFactory;
}

/** An agent at work. */
export interface Agent {
  status(): Promise<AgentStatus>;
  /** Where metrics are served; undefined while they are not. */
  readonly metricsPort: number | undefined;
  /** Everything that talks to the collector is loaded and has begun; before, readings are only buffered. */
  readonly upstreamStarted: Promise<void>;
  /** Resolves when the buffer's thread has answered; what stays away means that it is stuck, or the event loop. */
  progress(): Promise<Progress>;
  /**
   * Takes what a running agent can take of another configuration: certificates, the collector's address, the level of the
   * log. Throws a `TributaryError` and changes nothing when the certificates cannot be used, or are another device's.
   */
  reload(next: AgentConfig): ConfigChanges;
  /** Stops in order: sources, batches, buffer, one last upload. Resolves within 20 s, whatever hangs. */
  stop(): Promise<void>;
}
