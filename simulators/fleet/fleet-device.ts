import { randomBytes } from 'node:crypto';
import { Client, type ServiceError } from '@grpc/grpc-js';
import { type ClientMaterial, clientCredentials } from '@tributary/core/identity/client-credentials';
import { DeviceServiceService, RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { Lane, TelemetryServiceService, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage, ITEM_OVERHEAD_BYTES_MAX } from '@tributary/proto/items/upload-wire';
import type { Workload } from './workload.js';

/** What a stream and a message may carry; below the limits that collectors give by default. */
const STREAM_BYTES_MAX = 900_000;
const MESSAGE_BYTES_MAX = 64 * 1024;

/** A deferred item is asked for again after this long at the most, so that a load test ends. */
const LATER_MS_MAX = 2000;

export interface DeviceTally {
  durableItems: number;
  rejectedItems: number;
  forkedItems: number;
  deferrals: number;
  streams: number;
  /** From the half-close of a stream to its answer, milliseconds. */
  answerMs: number[];
}

export interface FleetPace {
  lane: Lane;
  /** From an answer to the next stream; 0 is at once. */
  pauseMs: number;
}

const identity = (bytes: Uint8Array) => bytes as Buffer;

/** A device's uplink without sensors and buffer, for load: it sends what was prepared, as fast as it is answered. */
export class FleetDevice {
  readonly tally: DeviceTally = {
    durableItems: 0,
    rejectedItems: 0,
    forkedItems: 0,
    deferrals: 0,
    streams: 0,
    answerMs: [],
  };
  private readonly client: Client;
  /** Encoded once, as the items are: a load test measures the collector, and not itself. */
  private readonly registration: Buffer;
  private token = 0;

  constructor(
    address: string,
    material: ClientMaterial,
    private readonly epoch: Uint8Array,
    private readonly workload: Workload,
    private readonly streamItemsMax = Number.POSITIVE_INFINITY,
    private readonly pace: FleetPace = { lane: Lane.LIVE, pauseMs: 0 },
  ) {
    const options = { 'grpc.enable_retries': 0, 'grpc.enable_channelz': 0, 'grpc.use_local_subchannel_pool': 1 };
    this.client = new Client(address, clientCredentials(material), options);
    const registration: RegisterRequest = {
      startId: new Uint8Array(randomBytes(16)),
      agentVersion: 'fleet',
      epochs: [{ epoch: this.epoch, highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 }],
      series: this.workload.series,
      segments: [],
      monotonicUs: 0,
      segment: 0,
      attributes: {},
      anchors: [],
      rulesVersion: '',
    };
    this.registration = Buffer.from(RegisterRequest.encode(registration).finish());
  }

  /** Registers; the whole catalogue goes in one call. */
  async register(): Promise<void> {
    const response = await new Promise<RegisterResponse>((resolve, reject) => {
      this.client.makeUnaryRequest<Uint8Array, RegisterResponse>(
        DeviceServiceService.register.path,
        identity,
        (bytes) => RegisterResponse.decode(bytes),
        this.registration,
        (error: ServiceError | null, answer: RegisterResponse | undefined) => {
          if (error) reject(error);
          else resolve(answer!);
        },
      );
    });
    this.token = response.fencingToken;
  }

  /** Sends everything; resolves when each item has a final verdict. */
  async send(): Promise<void> {
    let waiting = this.workload.items;
    while (waiting.length > 0) {
      const { sent, answer } = await this.stream(waiting);
      const settled = new Set<number>();
      for (const { first, last } of answer.durable) for (let at = first; at <= last; at++) settled.add(at);
      this.tally.durableItems += settled.size;
      for (const { sequence } of answer.rejected) settled.add(sequence);
      this.tally.rejectedItems += answer.rejected.length;
      for (const { first, last } of answer.forked) for (let at = first; at <= last; at++) settled.add(at);
      for (const { first, last } of answer.forked) this.tally.forkedItems += last - first + 1;
      waiting =
        settled.size === sent
          ? waiting.slice(sent)
          : waiting.filter((item, at) => at >= sent || !settled.has(item.sequence));
      if (answer.later.length > 0) {
        this.tally.deferrals++;
        const delayMs = Math.min(LATER_MS_MAX, Math.max(...answer.later.map((one) => one.delayMs)));
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      } else if (this.pace.pauseMs > 0 && waiting.length > 0) {
        await new Promise((resolve) => setTimeout(resolve, this.pace.pauseMs));
      }
    }
  }

  close(): void {
    this.client.close();
  }

  private async stream(items: readonly Item[]): Promise<{ sent: number; answer: UploadResponse }> {
    this.tally.streams++;
    let answered = false;
    let halfClosedMs = performance.now();
    let finish!: (answer: UploadResponse) => void;
    let fail!: (error: Error) => void;
    const answer = new Promise<UploadResponse>((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
    const call = this.client.makeClientStreamRequest<Uint8Array, UploadResponse>(
      TelemetryServiceService.upload.path,
      identity,
      (bytes) => UploadResponse.decode(bytes),
      (error, response) => {
        answered = true;
        if (error) fail(error);
        else finish(response!);
      },
    );
    let sent = 0;
    let bytes = 0;
    let header: Parameters<typeof encodeUploadMessage>[0] = {
      epoch: this.epoch,
      fencingToken: this.token,
      lane: this.pace.lane,
      watermarkUs: 0,
      watermarkSegment: 0,
      backlog: { first: items[0]!.sequence, last: items[items.length - 1]!.sequence },
      readingsProduced: this.workload.readings,
      readingsWaiting: 0,
    };
    const itemsMax = Math.min(items.length, this.streamItemsMax);
    while (sent < itemsMax && bytes < STREAM_BYTES_MAX && !answered) {
      const message: Item[] = [];
      let messageBytes = 0;
      while (sent < itemsMax) {
        const size = items[sent]!.body.length + ITEM_OVERHEAD_BYTES_MAX;
        if (message.length > 0 && messageBytes + size > MESSAGE_BYTES_MAX) break;
        message.push(items[sent++]!);
        messageBytes += size;
      }
      bytes += messageBytes;
      if (!call.write(encodeUploadMessage(header, message))) {
        await Promise.race([new Promise((resolve) => call.once('drain', resolve)), answer.catch(() => {})]);
      }
      header = undefined;
    }
    call.end();
    halfClosedMs = performance.now();
    const response = await answer;
    this.tally.answerMs.push(performance.now() - halfClosedMs);
    return { sent, answer: response };
  }
}
