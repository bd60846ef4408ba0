import type { ServiceError } from '@grpc/grpc-js';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import {
  type AuditResponse,
  type ListAlertsResponse,
  type ListDevicesResponse,
  QueryServiceClient,
} from '@tributary/proto/gen/tributary/v1/query';

/** An operator's view of a collector: the same service that `tributary-collector query` asks. */
export class CollectorClient {
  private readonly client: QueryServiceClient;

  constructor(address: string, files: { ca: string; cert: string; key: string }) {
    this.client = new QueryServiceClient(address, clientCredentials(loadTlsFiles(files)));
  }

  devices(): Promise<ListDevicesResponse> {
    return answer((done) => this.client.listDevices({ pageSize: 100, pageToken: '' }, done));
  }

  alerts(): Promise<ListAlertsResponse> {
    return answer((done) =>
      this.client.listAlerts({ device: '', range: undefined, firingOnly: false, pageSize: 1000, pageToken: '' }, done),
    );
  }

  audit(): Promise<AuditResponse> {
    return answer((done) => this.client.audit({ device: '' }, done));
  }

  close(): void {
    this.client.close();
  }
}

function answer<T>(call: (done: (error: ServiceError | null, response: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}
