import type { Random } from '@tributary/core/clock/random';
import { type BatchLimits, DEFAULT_BATCH_LIMITS } from '@tributary/proto/batch/batch-limits';
import { DeferralReason, Lane, type UploadHeader } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { DeviceCommitOutcome, DeviceName, RegisteredDevice } from '../store/store.js';
import type { Follower } from './committed.js';
import { type DeviceSession, SessionTable } from './device-session.js';
import { type CommitPort, GroupCommitter } from './group-commit.js';
import { IngestCounters } from './ingest-counters.js';
import { assertIngestLimits, type IngestLimits } from './ingest-limits.js';
import { type StreamContext, type UploadHost, UploadStream } from './upload-stream.js';

export interface IngestOptions {
  limits: IngestLimits;
  /** For the jitter of delays. */
  random: Random;
  port: CommitPort;
  follower: Follower;
}

/** Above this part of the limit history waits, so that what happens now still gets through. */
const BACKFILL_SHARE = 0.5;

/** Reading goes on below this part of a limit, not at the limit, so that it does not flutter. */
const RESUME_SHARE = 0.75;

/** A stream is cut off after twice the time that the device was told: a slow link, but not one that holds memory for ever. */
const STREAM_TIME_SLACK = 2;

/**
 * Ingest without input and output: messages and time go in, answers and commits come out through the hosts that it is
 * given. Everything that it holds has a limit.
 */
export class IngestCore {
  readonly counters = new IngestCounters();
  readonly #committer: GroupCommitter;
  readonly #sessions: SessionTable;
  readonly #streams = new Set<UploadStream>();
  readonly #context: StreamContext;
  readonly #limits: IngestLimits;
  readonly #random: Random;
  readonly #follower: Follower;
  #inFlightBytes = 0;
  /** Devices that have something in flight. */
  #devicesInFlight = 0;
  #ticks = 0;
  /** Devices that have sent an item since the last tick, and between the two before. */
  #activeDevices = 0;
  #activeDevicesBefore = 0;
  /** Streams that may be paused; counted anew at each look. */
  #pausedStreams = 0;
  #stopping = false;
  #nowUs = 0;

  constructor({ limits, random, port, follower }: IngestOptions) {
    assertIngestLimits(limits);
    this.#limits = limits;
    this.#random = random;
    this.#follower = follower;
    this.#sessions = new SessionTable(limits.devicesMax);
    this.#committer = new GroupCommitter(limits, port, follower, this.counters);
    const batchLimits: BatchLimits = {
      ...DEFAULT_BATCH_LIMITS,
      maxBytes: limits.itemBytesMax,
      maxReadings: limits.batchReadingsMax,
    };
    this.#context = {
      limits,
      batchLimits,
      committer: this.#committer,
      counters: this.counters,
      find: (name) => this.#sessions.find(name),
      refusal: (lane) => this.#refusal(lane),
      delayMs: (reason) => this.#delayMs(reason),
      take: (session, bytes) => this.#take(session, bytes),
      release: (session, bytes) => this.#release(session, bytes),
      watermark: (session, header, watermarkUs) => this.#watermark(session, header, watermarkUs),
      closed: (stream) => this.#closed(stream),
    };
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get devices(): number {
    return this.#sessions.size;
  }

  /** Nothing is open and nothing is under way. */
  get idle(): boolean {
    return this.#streams.size === 0 && this.#committer.idle;
  }

  /** A device has registered; what the store answered is what its uploads are checked against. */
  registered(name: DeviceName, device: RegisteredDevice): void {
    this.counters.registrations++;
    this.#sessions.refresh(name, device);
  }

  /** Opens an upload of the device that the certificate names. */
  open(name: DeviceName, host: UploadHost, nowUs: number): UploadStream {
    this.#nowUs = nowUs;
    const stream = new UploadStream(this.#context, name, host, nowUs);
    this.#streams.add(stream);
    this.counters.streams++;
    this.counters.streamsOpen++;
    // At once: a stream without a header would be waited for.
    if (this.#stopping) stream.stop(DeferralReason.SHUTDOWN);
    return stream;
  }

  /** Ends streams that take too long, and counts anew who sends. To be called about once a second. */
  tick(nowUs: number): void {
    this.#nowUs = nowUs;
    this.#ticks++;
    this.#activeDevicesBefore = this.#activeDevices;
    this.#activeDevices = 0;
    const oldestUs = nowUs - this.#limits.streamDurationMsMax * 1000 * STREAM_TIME_SLACK;
    for (const stream of this.#streams) if (stream.openedUs < oldestUs) stream.stop(DeferralReason.PRESSURE);
  }

  /** What has arrived was read: a commit may begin, and what was committed is followed. Answers the port's `wake`. */
  wake(): void {
    this.#committer.turn();
  }

  /** The store has committed what the port was given. */
  committed(outcomes: readonly DeviceCommitOutcome[], nowUs: number): void {
    this.#nowUs = nowUs;
    this.#committer.done(outcomes, nowUs);
    this.#resume();
  }

  /** The store has refused what the port was given. */
  commitFailed(error: unknown): void {
    this.#committer.failed(error);
    this.#resume();
  }

  /** Takes nothing more: open streams are answered when what they brought is settled, new ones at once. */
  stop(): void {
    this.#stopping = true;
    for (const stream of this.#streams) stream.stop(DeferralReason.SHUTDOWN);
  }

  #refusal(lane: Lane): DeferralReason | undefined {
    if (this.#stopping) return DeferralReason.SHUTDOWN;
    if (this.#follower.busy?.() === true) return DeferralReason.PRESSURE;
    const share = lane === Lane.LIVE ? 1 : BACKFILL_SHARE;
    return this.#inFlightBytes >= this.#limits.inFlightBytesMax * share ? DeferralReason.PRESSURE : undefined;
  }

  #delayMs(reason: DeferralReason): number {
    switch (reason) {
      case DeferralReason.PRESSURE:
      case DeferralReason.SHUTDOWN:
        return Math.round(this.#limits.pressureDelayMs * (0.5 + this.#random()));
      case DeferralReason.STORE:
      case DeferralReason.FUTURE:
      case DeferralReason.UNKNOWN_ENCODING:
        return Math.round(this.#limits.storeDelayMs * (0.5 + this.#random()));
      default:
        return 0;
    }
  }

  /** What one device may have in flight now: everything that it ever may while no other sends, else its share. */
  #deviceBytes(): number {
    const { deviceInFlightBytesMax, sharedInFlightBytes, deviceShareBytesMin } = this.#limits;
    if (this.#activeDevices <= 1 && this.#activeDevicesBefore <= 1) return deviceInFlightBytesMax;
    const share = sharedInFlightBytes / Math.max(1, this.#devicesInFlight);
    return Math.min(deviceInFlightBytesMax, Math.max(deviceShareBytesMin, share));
  }

  #take(session: DeviceSession, bytes: number): boolean {
    if (session.activeTick !== this.#ticks) {
      session.activeTick = this.#ticks;
      this.#activeDevices++;
    }
    if (session.inFlightBytes === 0) this.#devicesInFlight++;
    this.#inFlightBytes += bytes;
    session.inFlightBytes += bytes;
    const free = this.#inFlightBytes < this.#limits.inFlightBytesMax && session.inFlightBytes < this.#deviceBytes();
    if (!free) this.#pausedStreams++;
    return free;
  }

  #release(session: DeviceSession, bytes: number): void {
    this.#inFlightBytes -= bytes;
    session.inFlightBytes -= bytes;
    if (session.inFlightBytes === 0) this.#devicesInFlight--;
  }

  /** Once a commit, not once an item: it looks at every stream. */
  #resume(): void {
    if (this.#pausedStreams === 0) return;
    if (this.#inFlightBytes >= this.#limits.inFlightBytesMax * RESUME_SHARE) return;
    const deviceBytes = this.#deviceBytes() * RESUME_SHARE;
    let paused = 0;
    for (const stream of this.#streams) {
      if (!stream.paused) continue;
      if (stream.session !== undefined && stream.session.inFlightBytes >= deviceBytes) paused++;
      else stream.resume();
    }
    this.#pausedStreams = paused;
  }

  #watermark(session: DeviceSession, { epoch, readingsProduced }: UploadHeader, saidUs: number): void {
    const untilUs = Math.min(saidUs, session.committingFromUs);
    if (untilUs <= session.watermarkUs) return;
    session.watermarkUs = untilUs;
    this.#committer.watermark({
      deviceId: session.deviceId,
      untilUs,
      epoch,
      readingsProduced,
      nowUs: this.#nowUs,
    });
  }

  #closed(stream: UploadStream): void {
    this.#streams.delete(stream);
    this.counters.streamsOpen--;
  }
}
