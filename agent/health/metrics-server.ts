import { createServer } from 'node:http';
import type { Address } from '@tributary/core/config/address';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { AgentStatus } from './agent-status.js';
import type { AgentMetrics } from './metrics.js';

/** A scraper sends a few hundred bytes and reads what it is sent. */
const requestMs = 10_000;
const connectionsMax = 16;

/** Where the metrics are, once they are served. */
export interface MetricsServer {
  port: number;
  close(): Promise<void>;
}

/** Serves `GET /metrics` on loopback. The metrics library is loaded with the first scrape: many agents never see one. */
export function serveMetrics(address: Address, status: () => Promise<AgentStatus>): Promise<MetricsServer> {
  let metrics: AgentMetrics | undefined;
  const text = async (): Promise<{ body: string; type: string }> => {
    if (metrics === undefined) {
      const { AgentMetrics } = await import('./metrics.js');
      metrics ??= new AgentMetrics();
    }
    return { body: await metrics.text(await status()), type: metrics.contentType };
  };
  const server = createServer({ requestTimeout: requestMs, headersTimeout: requestMs }, (request, response) => {
    const { method, url } = request;
    if ((method !== 'GET' && method !== 'HEAD') || url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('metrics are at /metrics\n');
      return;
    }
    text().then(
      ({ body, type }) => response.writeHead(200, { 'content-type': type }).end(method === 'HEAD' ? undefined : body),
      () => response.writeHead(503, { 'content-type': 'text/plain' }).end('the buffer does not answer\n'),
    );
  });
  server.maxConnections = connectionsMax;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(TributaryError.from(error)));
    server.listen(address.port, address.host, () => {
      const bound = server.address();
      // Metrics alone keep no agent running.
      server.unref();
      resolve({
        port: typeof bound === 'object' && bound !== null ? bound.port : address.port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });
}
