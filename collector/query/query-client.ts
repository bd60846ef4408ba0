import type { ChannelCredentials, ChannelOptions, Client, ServiceError } from '@grpc/grpc-js';
import { address, formatAddress, parseAddress } from '@tributary/core/config/address';
import { filePath } from '@tributary/core/config/file-path';
import { loadConfig } from '@tributary/core/config/load-config';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { QueryServiceClient } from '@tributary/proto/gen/tributary/v1/query';
import * as v from 'valibot';

/** Where to ask and as whom. */
const clientSchema = v.strictObject({
  address: v.pipe(address(), v.description('collector to ask')),
  ca: v.pipe(filePath(), v.description("PEM file of the CA that issued the collector's certificate")),
  cert: v.pipe(filePath(), v.description('PEM file of the certificate of an operator')),
  key: v.pipe(filePath(), v.description('PEM file of its private key, readable by its owner alone (chmod 600)')),
});

export interface ClientFlags {
  config?: string;
  address?: string;
  ca?: string;
  cert?: string;
  key?: string;
}

/** TCP, TLS and HTTP/2 together; gRPC itself would wait for ever. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Asks `QueryService`; see {@link connectClient}. */
export function connectQueryClient(flags: ClientFlags): Promise<QueryServiceClient> {
  return connectClient(QueryServiceClient, flags);
}

/** Connects; rejects with a `TributaryError` that says what is wrong. Close the client at the end. */
export async function connectClient<C extends Client>(
  Service: new (address: string, credentials: ChannelCredentials, options: Partial<ChannelOptions>) => C,
  flags: ClientFlags,
): Promise<C> {
  const { target, files } = settings(flags);
  const client = new Service(target, clientCredentials(loadTlsFiles(files)), {
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + CONNECT_TIMEOUT_MS, (error) => {
      if (error === undefined) {
        resolve();
        return;
      }
      client.close();
      const message = `${target}: no connection within ${CONNECT_TIMEOUT_MS / 1000} s; is a collector there, and do it and this certificate come from the same CA?`;
      reject(new TributaryError('network', message, { cause: error }));
    });
  });
  return client;
}

function settings(flags: ClientFlags): { target: string; files: { ca: string; cert: string; key: string } } {
  if (flags.config !== undefined) {
    const config = loadConfig(flags.config, clientSchema);
    return { target: formatAddress(config.address), files: config };
  }
  const { ca, cert, key } = flags;
  const parsed = flags.address === undefined ? undefined : parseAddress(flags.address);
  if (parsed === undefined || ca === undefined || cert === undefined || key === undefined) {
    throw new TributaryError(
      'usage',
      'write --address HOST:PORT with --ca, --cert and --key of an operator, or --config FILE',
    );
  }
  return { target: formatAddress(parsed), files: { ca, cert, key } };
}

/** A unary call as a promise: `ask((done) => client.audit(request, done))`. */
export function ask<Response>(
  call: (done: (error: ServiceError | null, response: Response) => void) => unknown,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response) : reject(TributaryError.from(error))));
  });
}
