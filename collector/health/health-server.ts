import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type Address, formatAddress } from '@tributary/core/config/address';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Registry } from 'prom-client';

/** Whether the collector takes readings, and why it does not. */
export type Readiness =
  | { ready: true /** What is wrong, and does not keep it from taking readings. */; but?: string }
  | { ready: false; why: string };

export interface HealthServerOptions {
  listen: Address;
  registry: Registry;
  readiness: () => Readiness;
}

export interface HealthServer {
  address: Address;
  close(): Promise<void>;
}

/** A probe answers at once or not at all. */
const REQUEST_TIMEOUT_MS = 5000;

/** HTTP for probes and Prometheus: `/metrics`, `/healthz` (the process runs), `/readyz` (it takes readings). */
export async function startHealthServer({ listen, registry, readiness }: HealthServerOptions): Promise<HealthServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response).catch(() => response.destroy());
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET is known here\n');
    if (path === '/healthz') return send(response, 200, 'ok\n');
    if (path === '/readyz') {
      const state = readiness();
      if (!state.ready) return send(response, 503, `${state.why}\n`);
      return send(response, 200, state.but === undefined ? 'ready\n' : `ready, but ${state.but}\n`);
    }
    if (path === '/metrics') return send(response, 200, await registry.metrics(), registry.contentType);
    return send(response, 404, 'try /metrics, /healthz or /readyz\n');
  }

  const port = await listenOn(server, listen);
  return {
    address: { host: listen.host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}

function listenOn(server: Server, listen: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const { code, message } = TributaryError.from(error);
      reject(new TributaryError(code, `health.listen ${formatAddress(listen)}: ${message}`, { cause: error }));
    });
    server.listen(listen.port, listen.host, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : listen.port);
    });
  });
}
