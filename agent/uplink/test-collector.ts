import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
} from '@grpc/grpc-js';
import {
  type AcknowledgeAlertsRequest,
  type AcknowledgeAlertsResponse,
  type Alert,
  AlertServiceService,
  type WatchAlertsRequest,
  type WatchAlertsResponse,
} from '@tributary/proto/gen/tributary/v1/alert';
import { DeviceServiceService, type RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { TelemetryServiceService, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { decodeUploadMessage } from '@tributary/proto/items/upload-wire';
import type { TestPki } from './test-pki.js';

interface Stored {
  item: Item;
  times: number;
}

/**
 * A collector for the agent's own tests: real gRPC, real mutual TLS, memory for a store. It says what the contract says,
 * and does what a test tells it to.
 */
export class TestCollector {
  /** By epoch and sequence. */
  readonly stored = new Map<string, Stored>();
  readonly registrations: RegisterRequest[] = [];
  readonly acknowledgedAlerts: number[] = [];
  alerts: Alert[] = [];
  /** Fails the next calls of a kind. */
  fail: { register?: Partial<ServiceError>; upload?: Partial<ServiceError> } = {};
  /** Keeps an answer back that would come now. */
  holdAnswers = false;
  #server: Server | undefined;
  #seriesKnown = 0;
  #segmentsKnown = 0;
  #anchorsKnown = 0;
  port = 0;
  readonly #pki: TestPki;
  readonly #watchers = new Set<ServerWritableStream<WatchAlertsRequest, WatchAlertsResponse>>();

  constructor(pki: TestPki) {
    this.#pki = pki;
  }

  async start(): Promise<void> {
    const { cert, key } = await this.#pki.issue('spiffe://example.org/collector/test');
    const server = new Server();
    server.addService(DeviceServiceService, { register: this.#register });
    server.addService(
      { upload: { ...TelemetryServiceService.upload, requestDeserialize: (bytes: Buffer) => bytes } },
      { upload: this.#upload },
    );
    server.addService(AlertServiceService, { watchAlerts: this.#watch, acknowledgeAlerts: this.#acknowledge });
    const credentials = ServerCredentials.createSsl(
      Buffer.from(this.#pki.ca),
      [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }],
      true,
    );
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, credentials, (error, port) => (error ? reject(error) : resolve(port)));
    });
    this.#server = server;
  }

  /** Gone at once, as when its machine loses power. The same port is used when it starts again. */
  kill(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  get readings(): number {
    let readings = 0;
    for (const { item } of this.stored.values()) readings += item.readings;
    return readings;
  }

  #register = (
    call: ServerUnaryCall<RegisterRequest, RegisterResponse>,
    answer: sendUnaryData<RegisterResponse>,
  ): void => {
    if (this.fail.register !== undefined) {
      answer(this.fail.register);
      return;
    }
    const { request } = call;
    this.registrations.push(request);
    this.#seriesKnown = Math.max(this.#seriesKnown, request.series.at(-1)?.id ?? 0);
    this.#segmentsKnown = Math.max(this.#segmentsKnown, request.segments.at(-1)?.id ?? 0);
    this.#anchorsKnown = Math.max(this.#anchorsKnown, request.anchors.at(-1)?.id ?? 0);
    const nowUs = Date.now() * 1000;
    answer(null, {
      ...RegisterResponse.decode(new Uint8Array(0)),
      fencingToken: this.registrations.length,
      seriesKnown: this.#seriesKnown,
      segmentsKnown: this.#segmentsKnown,
      anchorsKnown: this.#anchorsKnown,
      receivedAtUs: nowUs,
      sentAtUs: nowUs,
      encodings: [1],
    });
  };

  #upload = (call: ServerReadableStream<Buffer, UploadResponse>, answer: sendUnaryData<UploadResponse>): void => {
    if (this.fail.upload !== undefined) {
      answer(this.fail.upload);
      return;
    }
    const items: Item[] = [];
    let epoch = '';
    call.on('data', (bytes: Buffer) => {
      const message = decodeUploadMessage(bytes);
      if (message === undefined) return;
      if (message.header !== undefined) epoch = Buffer.from(message.header.epoch).toString('hex');
      items.push(...message.items);
    });
    // A stream that is cut off: nothing is answered, and what came is forgotten.
    call.on('error', () => {});
    call.on('end', () => {
      if (this.holdAnswers) return;
      for (const item of items) {
        const key = `${epoch}/${item.sequence}`;
        const known = this.stored.get(key);
        if (known === undefined) this.stored.set(key, { item, times: 1 });
        else known.times++;
      }
      const durable = items.map(({ sequence }) => ({ first: sequence, last: sequence }));
      answer(null, { ...UploadResponse.decode(new Uint8Array(0)), durable });
    });
  };

  #watch = (call: ServerWritableStream<WatchAlertsRequest, WatchAlertsResponse>): void => {
    for (const value of this.alerts) {
      if (value.number > call.request.cursor) call.write({ message: { $case: 'alert', value } });
    }
    this.#watchers.add(call);
    call.on('cancelled', () => this.#watchers.delete(call));
  };

  #acknowledge = (
    call: ServerUnaryCall<AcknowledgeAlertsRequest, AcknowledgeAlertsResponse>,
    answer: sendUnaryData<AcknowledgeAlertsResponse>,
  ): void => {
    this.acknowledgedAlerts.push(call.request.cursor);
    answer(null, {});
  };

  /** Sends an alert to whoever watches. */
  alert(value: Alert): void {
    this.alerts.push(value);
    for (const watcher of this.#watchers) watcher.write({ message: { $case: 'alert', value } });
  }
}

/** Resolves when `condition` holds; looks at it now and after each turn of the event loop, and gives up after 20 s. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`it never came to pass that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
