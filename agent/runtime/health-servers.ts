import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Logger } from 'pino';
import type { AgentConfig } from '../config/schema.js';
import type { AgentStatus } from '../health/agent-status.js';
import { statusPath } from './status-path.js';

export interface HealthServers {
  metricsPort: number | undefined;
  close(): Promise<void>;
}

/**
 * Serves status and metrics as configured. Never rejects: a socket or port that cannot be had is a warning, because an
 * agent that cannot be watched must still do its work.
 */
export async function serveHealth(
  config: AgentConfig,
  status: () => Promise<AgentStatus>,
  log: Logger,
): Promise<HealthServers> {
  const closers: (() => Promise<void>)[] = [];
  let metricsPort: number | undefined;
  const path = statusPath(config);
  if (path !== undefined) {
    try {
      const { serveStatus } = await import('../health/status-socket.js');
      closers.push(await serveStatus(path, status));
    } catch (thrown) {
      log.warn({ socket: path, details: TributaryError.from(thrown).message }, 'the status is not served');
    }
  }
  const { metrics } = config.health;
  if (metrics !== 'off') {
    try {
      const { serveMetrics } = await import('../health/metrics-server.js');
      const server = await serveMetrics(metrics, status);
      metricsPort = server.port;
      closers.push(server.close);
    } catch (thrown) {
      log.warn({ details: TributaryError.from(thrown).message }, 'metrics are not served');
    }
  }
  return {
    metricsPort,
    close: async () => {
      await Promise.allSettled(closers.map((close) => close()));
    },
  };
}
