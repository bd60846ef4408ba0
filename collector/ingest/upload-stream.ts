import type { BatchLimits } from '@tributary/proto/batch/batch-limits';
import {
  type DeferralReason,
  ItemKind,
  Lane,
  DeferralReason as Later,
  type RejectionReason,
  type UploadHeader,
  type UploadResponse,
} from '@tributary/proto/gen/tributary/v1/telemetry';
import { EPOCH_BYTES, type Item } from '@tributary/proto/items/item';
import { decodeUploadMessage } from '@tributary/proto/items/upload-wire';
import type { DeviceName } from '../store/store.js';
import { checkBatch, checkDeclaration, checkEnvelope, flagFuture, type Refusal } from './check-item.js';
import { checkThinned } from './check-thinned.js';
import type { DeviceSession, EpochSession } from './device-session.js';
import type { GroupCommitter } from './group-commit.js';
import type { IngestCounters } from './ingest-counters.js';
import type { IngestLimits } from './ingest-limits.js';
import { type ItemOwner, PendingItem } from './pending-item.js';
import { UploadVerdicts } from './upload-verdicts.js';

/** A fault of the stream itself; items that it carried before are committed all the same. */
export interface UploadFault {
  fault: 'invalid';
  message: string;
}

/** What a stream does to its peer. */
export interface UploadHost {
  /** The one answer. Nothing is called after it. */
  answer(response: UploadResponse): void;
  fail(fault: UploadFault): void;
  pause(): void;
  resume(): void;
}

/** What streams share. */
export interface StreamContext {
  readonly limits: IngestLimits;
  readonly batchLimits: Readonly<BatchLimits>;
  readonly committer: GroupCommitter;
  readonly counters: IngestCounters;
  find(name: DeviceName): DeviceSession | undefined;
  /** Why a new stream of this lane is not taken now; undefined when it is. */
  refusal(lane: Lane): DeferralReason | undefined;
  delayMs(reason: DeferralReason): number;
  /** Counts bytes in flight; whether the stream may go on reading. */
  take(session: DeviceSession, bytes: number): boolean;
  release(session: DeviceSession, bytes: number): void;
  watermark(session: DeviceSession, header: UploadHeader, watermarkUs: number): void;
  closed(stream: UploadStream): void;
}

/** An item's objects, whatever its size. */
const ITEM_OVERHEAD_BYTES = 512;

/**
 * One upload. Messages go in as they arrive, each item's verdict comes when it is known, and the answer is given when the
 * device has half-closed (or the collector wants no more of it) and nothing is under way any more.
 */
export class UploadStream implements ItemOwner {
  readonly #context: StreamContext;
  readonly #name: DeviceName;
  readonly #host: UploadHost;
  readonly #verdicts = new UploadVerdicts();
  /** Of the wall clock that the host passes in. */
  readonly openedUs: number;
  #state: 'header' | 'reading' | 'draining' | 'closed' = 'header';
  #header: UploadHeader | undefined;
  #session: DeviceSession | undefined;
  #epoch: EpochSession | undefined;
  #nowUs: number;
  #pending = 0;
  #bytes = 0;
  #items = 0;
  #rejections = 0;
  /** The first sequence that the stream has not looked at yet, as far as it can tell. */
  #next = 1;
  #paused = false;

  constructor(context: StreamContext, name: DeviceName, host: UploadHost, nowUs: number) {
    this.#context = context;
    this.#name = name;
    this.#host = host;
    this.openedUs = nowUs;
    this.#nowUs = nowUs;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get session(): DeviceSession | undefined {
    return this.#session;
  }

  /** One message as it came. `bytes` must not change until the stream has been answered. */
  message(bytes: Uint8Array, nowUs: number): void {
    if (this.#state === 'draining' || this.#state === 'closed') return;
    this.#nowUs = nowUs;
    const message = decodeUploadMessage(bytes);
    if (message === undefined) {
      this.#fail('the message is not an UploadRequest');
      return;
    }
    const { header, items } = message;
    if (this.#state === 'header') {
      if (header === undefined) this.#fail('header: the first message must have one');
      else this.#open(header);
    } else if (header !== undefined) this.#fail('header: only the first message has one');
    this.#bytes += bytes.length;
    for (let at = 0; at < items.length && this.#isReading(); at++) this.#take(items[at]);
    // A message that began within the limit is taken whole.
    const { streamBytesMax, messageBytesMax } = this.#context.limits;
    if (this.#isReading() && this.#bytes > streamBytesMax + messageBytesMax) this.stop(Later.PRESSURE);
  }

  /** The device has sent everything. */
  halfClose(nowUs: number): void {
    this.#nowUs = nowUs;
    if (this.#state === 'header') this.#fail('header: the stream ended before it');
    if (this.#state !== 'reading') return;
    this.#state = 'draining';
    this.#finishIfSettled();
  }

  /** The connection or the call is gone. What was taken is committed all the same. */
  cancel(): void {
    if (this.#state !== 'closed') this.#close();
  }

  /** Takes nothing more: answers with what there is and defers the rest. */
  stop(reason: DeferralReason): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'draining') {
      this.#context.counters.countLater(reason);
      this.#verdicts.laterFrom(this.#next, reason, this.#context.delayMs(reason));
    }
    this.#state = 'draining';
    this.#finishIfSettled();
  }

  pause(): void {
    if (this.#paused || this.#state === 'closed') return;
    this.#paused = true;
    this.#host.pause();
  }

  resume(): void {
    if (!this.#paused || this.#state === 'closed') return;
    this.#paused = false;
    this.#host.resume();
  }

  durable(item: PendingItem): void {
    this.#verdicts.durable(item.sequence);
    this.#settled(item);
  }

  forked(item: PendingItem): void {
    this.#verdicts.forked(item.sequence);
    this.#settled(item);
  }

  rejected(item: PendingItem, reason: RejectionReason, detail: string): void {
    this.#context.counters.countRejected(reason);
    this.#verdicts.rejected(item.sequence, reason, detail);
    this.#settled(item);
  }

  later(item: PendingItem, reason: DeferralReason, delayMs: number): void {
    this.#context.counters.countLater(reason);
    this.#verdicts.later(item.sequence, reason, delayMs);
    this.#settled(item);
  }

  #isReading(): boolean {
    return this.#state === 'reading';
  }

  #open(header: UploadHeader): void {
    if (header.epoch.length !== EPOCH_BYTES) {
      this.#fail(`header.epoch: ${header.epoch.length} bytes; ${EPOCH_BYTES} are needed`);
      return;
    }
    if (header.lane !== Lane.LIVE && header.lane !== Lane.BACKFILL) {
      this.#fail(`header.lane: ${header.lane}; 1 (live) or 2 (backfill) is needed`);
      return;
    }
    const refusal = this.#context.refusal(header.lane);
    if (refusal !== undefined) {
      this.stop(refusal);
      return;
    }
    const session = this.#context.find(this.#name);
    const epoch = session?.epoch(header.epoch);
    if (session === undefined || epoch === undefined || session.fencingToken !== header.fencingToken) {
      this.stop(Later.REGISTER_AGAIN);
      return;
    }
    epoch.say(header.readingsProduced, header.readingsWaiting);
    session.streamsOpen++;
    this.#header = header;
    this.#session = session;
    this.#epoch = epoch;
    this.#state = 'reading';
  }

  #take(item: Item): void {
    const context = this.#context;
    const { limits } = context;
    if (item.sequence < 1) {
      this.#fail('items.sequence: it counts up from 1');
      return;
    }
    const session = this.#session as DeviceSession;
    const epoch = this.#epoch as EpochSession;
    const header = this.#header as UploadHeader;
    if (session.fencingToken !== header.fencingToken) {
      this.stop(Later.REGISTER_AGAIN);
      return;
    }
    if (this.#items >= limits.streamItemsMax) {
      this.stop(Later.PRESSURE);
      return;
    }
    this.#items++;
    if (item.sequence >= this.#next) this.#next = item.sequence + 1;
    const refusal = checkEnvelope(item, epoch, limits);
    if (refusal !== undefined) {
      this.#refuse(item.sequence, refusal);
      return;
    }
    context.committer.prepare(epoch, item.sequence);
    const pending = new PendingItem(item, header.lane, session, epoch, this);
    // What is stored already is only compared by its checksum, and that is the store's to do.
    if (!epoch.stored.has(item.sequence)) {
      const found = this.#look(pending);
      if (found !== undefined) {
        this.#refuse(item.sequence, found);
        return;
      }
      if (pending.decoded !== undefined && flagFuture(pending, this.#nowUs)) context.counters.fromFuture++;
    }
    pending.costBytes = item.body.length + ITEM_OVERHEAD_BYTES + pending.decodedBytes;
    this.#pending++;
    if (!context.take(session, pending.costBytes)) this.pause();
    context.committer.add(pending, header.fencingToken);
  }

  /** Checks what is in an item's body. */
  #look(pending: PendingItem): Refusal | undefined {
    const { limits, batchLimits, committer } = this.#context;
    switch (pending.kind) {
      case ItemKind.BATCH:
        return checkBatch(pending, committer.group.arena, batchLimits, this.#nowUs);
      case ItemKind.THINNED_BATCH:
        return checkThinned(pending, committer.group.arena, limits, batchLimits, this.#nowUs);
      default:
        return checkDeclaration(pending, limits);
    }
  }

  #refuse(sequence: number, refusal: Refusal): void {
    const { counters } = this.#context;
    if (refusal.verdict === 'rejected') {
      counters.countRejected(refusal.reason);
      this.#verdicts.rejected(sequence, refusal.reason, refusal.detail);
      this.#rejections++;
      if (this.#rejections >= this.#context.limits.streamRejectionsMax) this.stop(Later.PRESSURE);
      return;
    }
    counters.countLater(refusal.reason);
    this.#verdicts.later(sequence, refusal.reason, this.#context.delayMs(refusal.reason));
  }

  #settled(item: PendingItem): void {
    this.#pending--;
    this.#context.release(item.session, item.costBytes);
    if (this.#state === 'draining') this.#finishIfSettled();
  }

  #finishIfSettled(): void {
    if (this.#pending > 0) return;
    this.#advanceWatermark();
    this.#host.answer(this.#verdicts.response(this.#context.limits.backfillBytesPerSecond));
    this.#close();
  }

  /** The watermark holds once everything that the stream brought is stored: what was deferred is a live reading to come. */
  #advanceWatermark(): void {
    const header = this.#header;
    const session = this.#session;
    const epoch = this.#epoch;
    if (header === undefined || session === undefined || epoch === undefined) return;
    if (epoch.countsUntold && epoch.part === undefined) {
      this.#context.committer.touch(session, epoch, header.fencingToken);
    }
    if (header.lane !== Lane.LIVE || !this.#verdicts.clean) return;
    const { watermarkSegment, watermarkUs } = header;
    const clock = watermarkSegment === 0 ? undefined : epoch.clockAt(watermarkSegment, watermarkUs);
    if (watermarkSegment !== 0 && clock === undefined) return;
    this.#context.watermark(session, header, Math.min(watermarkUs + (clock?.offsetUs ?? 0), this.#nowUs));
  }

  #fail(message: string): void {
    if (this.#state === 'closed') return;
    this.#host.fail({ fault: 'invalid', message });
    this.#close();
  }

  #close(): void {
    this.#state = 'closed';
    if (this.#session !== undefined) this.#session.streamsOpen--;
    this.#context.closed(this);
  }
}
