import { randomBytes } from 'node:crypto';
import { Client, type ClientReadableStream } from '@grpc/grpc-js';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles, type TlsFiles } from '@tributary/core/identity/tls-files';
import { AlertServiceClient, type WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import {
  DeviceServiceClient,
  type RegisterRequest,
  type RegisterResponse,
} from '@tributary/proto/gen/tributary/v1/device';
import { ClockState, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import {
  TelemetryServiceService,
  type UploadHeader,
  UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { uploadHeader } from './ingest/ingest-fixture.js';

/** An upload that the test drives message by message. */
export interface OpenUpload {
  send(items: readonly Item[]): void;
  end(): void;
  answer: Promise<UploadResponse>;
}

/** A device of a test, over a real connection: it has one series of doubles, and one segment. */
export class TestClient {
  readonly #client: Client;

  constructor(port: number, files: TlsFiles) {
    this.#client = new Client(`127.0.0.1:${port}`, clientCredentials(loadTlsFiles(files)), {
      // Clients of one process would share a connection.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  register(epoch: Uint8Array, changes: Partial<RegisterRequest> = {}): Promise<RegisterResponse> {
    const { register } = DeviceServiceClient.service;
    const segment = {
      id: 1,
      bootId: 'b',
      offsetUs: 0,
      observedAtUs: 0,
      uncertaintyUs: 0,
      state: ClockState.UNSYNCHRONIZED,
    };
    const request: RegisterRequest = {
      startId: randomBytes(16),
      agentVersion: '0.1.0',
      epochs: [{ epoch, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
      series: [{ id: 1, name: 'temperature', unit: 'Cel', labels: { room: 'a' }, type: ValueType.DOUBLE }],
      segments: [segment],
      monotonicUs: 5_000_000,
      segment: 1,
      attributes: {},
      anchors: [],
      rulesVersion: '',
      ...changes,
    };
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        register.path,
        register.requestSerialize,
        register.responseDeserialize,
        request,
        (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
      );
    });
  }

  upload(header: Partial<UploadHeader>, items: readonly Item[]): Promise<UploadResponse> {
    const upload = this.open(header);
    upload.send(items);
    upload.end();
    return upload.answer;
  }

  open(header: Partial<UploadHeader>): OpenUpload {
    let isFirst = true;
    let settle: (error: Error | null, response: UploadResponse | undefined) => void = () => {};
    const answer = new Promise<UploadResponse>((resolve, reject) => {
      settle = (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error));
    });
    const call = this.#client.makeClientStreamRequest(
      TelemetryServiceService.upload.path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => UploadResponse.decode(bytes),
      (error, response) => settle(error, response),
    );
    return {
      send: (items) => {
        call.write(encodeUploadMessage(isFirst ? uploadHeader(header) : undefined, items));
        isFirst = false;
      },
      end: () => call.end(),
      answer,
    };
  }

  watch(cursor: number): ClientReadableStream<WatchAlertsResponse> {
    const { watchAlerts } = AlertServiceClient.service;
    return this.#client.makeServerStreamRequest(
      watchAlerts.path,
      watchAlerts.requestSerialize,
      watchAlerts.responseDeserialize,
      { cursor },
    );
  }

  close(): void {
    this.#client.close();
  }
}
