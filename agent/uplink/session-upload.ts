import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { Lane, RejectionReason, type UploadHeader } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import type { BufferCounts } from '../buffer/buffer.js';
import type { Selection } from './send-queue.js';
import type { SessionRegister } from './session-register.js';
import type { SessionShared } from './session-shared.js';
import type { UploadState } from './uplink-events.js';
import { UploadLane } from './upload-lane.js';
import type { UploadStream } from './upload-stream.js';

/** The header's own bytes in a stream, so that header and items stay within the bound together. */
const headerBytesMax = 256;

/** What follows once nothing is under way any more. */
interface Ending {
  untilMs: number;
  why: string;
  /** The connection is given up, too. */
  drop: boolean;
}

/**
 * What is sent, and when. A short backlog goes in order in the live lane. A longer one is split off: the live lane goes on
 * with what happens now, and the backlog follows beside it in streams of its own, as much as the answers grant and the link
 * can take. When everything below the split is settled, the lanes are one again.
 */
export class SessionUpload {
  readonly live: UploadLane;
  readonly backfill: UploadLane;
  /** Of this epoch, on any connection. */
  highestSent = 0;
  readonly #with: SessionShared;
  readonly #register: SessionRegister;
  /** Where the live lane begins while there are two; what is below belongs to backfill until it is settled. */
  #liveFrom: number | undefined;
  #ending: Ending | undefined;
  #heartbeatAtMs = 0;
  /** The budget of the latest answer; 0 is no limit. */
  #backfillBytesPerSecond = 0;
  #budgetUntilMs = 0;

  constructor(shared: SessionShared, register: SessionRegister) {
    this.#with = shared;
    this.#register = register;
    const { outbox, queue, doubt } = shared;
    const sending = () => {
      this.highestSent = Math.max(this.highestSent, ...this.streams.map(({ sent }) => sent.at(-1)?.last ?? 0));
      doubt.sending();
    };
    this.live = new UploadLane(Lane.LIVE, { outbox, queue, sending, last: () => this.#liveLast });
    this.backfill = new UploadLane(Lane.BACKFILL, { outbox, queue, sending, last: () => this.#backfillLast });
    shared.lanes = this;
  }

  /** Sent on this connection and not answered, of this epoch. */
  get underWay(): SequenceRange[] {
    const { epoch } = this.#with;
    return this.streams.filter((stream) => stream.epoch === epoch).flatMap(({ sent }) => sent);
  }

  get streams(): UploadStream[] {
    return [...this.backfill.streams, ...this.live.streams];
  }

  get #liveLast(): number {
    return Math.min(this.#with.registration.highest, this.#with.queue.upTo);
  }

  get #backfillLast(): number {
    return Math.min((this.#liveFrom ?? 1) - 1, this.#with.queue.upTo);
  }

  /** Register was answered: the collector hears of this device at once. */
  begin(link: number): void {
    this.reset();
    this.#with.state = { state: 'uploading', link };
    this.#heartbeatAtMs = this.#with.outbox.nowMs;
    this.carryOn();
  }

  /** Forgets what was under way. */
  reset(): void {
    this.#ending = undefined;
    this.live.reset();
    this.backfill.reset();
  }

  /**
   * Sequences begin anew. What was moved was passed by when it was answered forked, or by a copy of this buffer: a watermark
   * may have gone by, so it is history, and the live lane begins behind it.
   */
  newEpoch(): void {
    const moved = this.#with.registration.highest;
    this.#liveFrom = moved > 0 ? moved + 1 : undefined;
    this.highestSent = 0;
    this.live.isRewindDue = true;
    this.backfill.isRewindDue = true;
  }

  /** Ends what is under way in order; then Register follows, or another connection when this one is to be dropped. */
  end(untilMs: number, why: string, drop: boolean): void {
    const ending = this.#ending;
    this.#ending = {
      untilMs: Math.max(untilMs, ending?.untilMs ?? 0),
      why: ending?.why ?? why,
      drop: drop || (ending?.drop ?? false),
    };
  }

  /** After anything that happened: half-closes, reads, opens, or leaves. */
  carryOn(): void {
    const { state, queue, outbox } = this.#with;
    if (state?.state !== 'uploading') return;
    this.live.settle();
    this.backfill.settle();
    if (this.#isEnding) {
      this.live.finish();
      this.backfill.finish();
      if (!this.#isBusy) this.#leave(state.link);
      return;
    }
    if (queue.release(outbox.nowMs)) {
      this.live.isRewindDue = true;
      this.backfill.isRewindDue = true;
    }
    this.#carryOnLive();
    this.#carryOnBackfill();
    const isForkSettled = queue.isForked && this.live.isDoneUpTo(this.#liveLast) && this.#isBackfillDone;
    if (isForkSettled) this.#register.openEpoch(state.link);
  }

  get #isBusy(): boolean {
    return this.live.isBusy || this.backfill.isBusy;
  }

  get #isEnding(): boolean {
    const shared = this.#with;
    return this.#ending !== undefined || shared.linkLost || shared.openingEpoch || shared.isRegisterDue;
  }

  get #isBackfillDone(): boolean {
    return this.#liveFrom === undefined || this.backfill.isDoneUpTo(this.#backfillLast);
  }

  #leave(link: number): void {
    const { outbox, host, linkLost } = this.#with;
    const ending = this.#ending;
    this.#ending = undefined;
    if (ending !== undefined && (ending.drop || linkLost))
      host.drop(Math.max(0, ending.untilMs - outbox.nowMs), ending.why);
    else if (linkLost) host.dropped();
    else if (ending !== undefined && outbox.nowMs < ending.untilMs) {
      this.#with.hold(link, ending.untilMs, 'register', ending.why);
    } else this.#register.look(link);
  }

  #carryOnLive(): void {
    const { live } = this;
    if (this.#liveDueAtMs > this.#with.outbox.nowMs) return;
    if (live.isRewindDue) live.rewind(this.#liveFrom ?? 1);
    live.read(live.next, this.#liveBytesMax);
  }

  /** When the live lane begins its next stream; infinite while something else decides. */
  get #liveDueAtMs(): number {
    const { live } = this;
    // One at a time: what the rules see as it happens is in order, whatever a stream leaves over.
    if (live.isBusy) return Number.POSITIVE_INFINITY;
    const isDue = live.isRewindDue || live.next <= this.#liveLast;
    if (!isDue && this.#with.queue.isForked) return Number.POSITIVE_INFINITY;
    return Math.max(live.pauseUntilMs, isDue ? 0 : this.#heartbeatAtMs);
  }

  #carryOnBackfill(): void {
    const { backfill } = this;
    if (this.#liveFrom !== undefined && this.#isBackfillDone) this.#join();
    if (this.#backfillDueAtMs > this.#with.outbox.nowMs) return;
    if (backfill.isRewindDue) backfill.rewind(1);
    backfill.read(backfill.next, this.#backfillBytesMax);
  }

  get #backfillDueAtMs(): number {
    const { backfill } = this;
    const { queue, pipe } = this.#with;
    const never = Number.POSITIVE_INFINITY;
    if (this.#liveFrom === undefined || backfill.isWriting) return never;
    if (backfill.isRewindDue ? backfill.isBusy : backfill.next > this.#backfillLast) return never;
    if (backfill.awaitingCount >= queue.limits.backfillStreamsMax) return never;
    const { bytesUnderWay } = backfill;
    if (bytesUnderWay > 0 && bytesUnderWay + this.#backfillBytesMax > pipe.underWayMax) return never;
    return Math.max(backfill.pauseUntilMs, this.#budgetUntilMs);
  }

  get #liveBytesMax(): number {
    return Math.max(1, Math.min(this.#with.queue.streamBytes, this.#with.pipe.liveStreamBytes) - headerBytesMax);
  }

  get #backfillBytesMax(): number {
    const { queue, pipe } = this.#with;
    const budget = this.#backfillBytesPerSecond === 0 ? Number.POSITIVE_INFINITY : 2 * this.#backfillBytesPerSecond;
    return Math.max(1, Math.min(queue.streamBytes, pipe.backfillStreamBytes, budget) - headerBytesMax);
  }

  /** What waits from `first` on is too much to be live: the live lane goes on with what is young. */
  #split(first: number): void {
    const { backlog, outbox, registration } = this.#with;
    const from = backlog.youngFrom(outbox.nowMs) ?? registration.highest + 1;
    const liveFrom = Math.max(from, first + 1);
    if (this.#liveFrom === undefined) this.backfill.isRewindDue = true;
    this.#liveFrom = liveFrom;
    this.live.rewind(liveFrom);
    outbox.log('info', 'a backlog is sent beside what happens now', { first, liveFrom });
  }

  /** Nothing below the split is left. What is held there would come into the live lane late, so the split stays for it. */
  #join(): void {
    const held = this.#with.queue.firstHeld(1);
    if (this.#liveFrom === undefined || (held !== undefined && held < this.#liveFrom)) return;
    this.#liveFrom = undefined;
    this.#with.outbox.log('info', 'the backlog has been sent', {});
  }

  /** Items that were read, for whichever stream asked. */
  items(call: number, items: Item[], status: BufferCounts): void {
    for (const lane of [this.live, this.backfill]) {
      const { open } = lane;
      if (open?.reads(call)) {
        const last = lane === this.live ? this.#liveLast : this.#backfillLast;
        if (this.#with.see(status)) open.read(this.#select(items, open.nextSequence, last, open.bytesLeft, false));
        else open.finish();
        this.carryOn();
        return;
      }
      const from = lane.readAnswered(call);
      if (from === undefined) continue;
      if (this.#with.see(status)) this.#first(lane, items, from);
      this.carryOn();
      return;
    }
  }

  #select(items: Item[], from: number, last: number, bytesLeft: number, first: boolean): Selection {
    const { queue, registration, status } = this.#with;
    const selection = queue.select(items, from, last, bytesLeft, first);
    // Up to where the buffer was when it looked: what was appended since is not in what it answers.
    if (items.length === 0) selection.nextSequence = (status?.highestSequence ?? registration.highest) + 1;
    for (const item of selection.tooLarge) {
      const detail = `${item.body.length} bytes, the collector takes ${queue.limits.itemBytesMax}`;
      this.#with.quarantine(registration.epoch, item.sequence, RejectionReason.TOO_LARGE, detail);
    }
    return selection;
  }

  /** The first items of a new stream. */
  #first(lane: UploadLane, items: Item[], from: number): void {
    const { outbox, queue } = this.#with;
    const isLive = lane === this.live;
    const last = isLive ? this.#liveLast : this.#backfillLast;
    const bytesMax = isLive ? this.#liveBytesMax : this.#backfillBytesMax;
    const selection = this.#select(items, from, last, bytesMax, true);
    const first = selection.items.at(0)?.sequence;
    if (first !== undefined) {
      if (isLive && this.#isHistory(first)) this.#split(first);
      else this.#open(lane, selection, bytesMax);
      return;
    }
    lane.next = selection.nextSequence;
    const isHeartbeat = isLive && lane.next > last && !queue.isForked && outbox.nowMs >= this.#heartbeatAtMs;
    if (isHeartbeat) this.#open(lane, selection, bytesMax);
  }

  #isHistory(first: number): boolean {
    const { status, backlog, registration, outbox } = this.#with;
    const { bytesWaiting = 0, itemsWaiting = 0 } = status ?? {};
    // How much of it is live is not counted; items of one device are much alike.
    const share =
      this.#liveFrom === undefined || itemsWaiting === 0 ? 1 : (registration.highest - first + 1) / itemsWaiting;
    return backlog.laneOf(first, bytesWaiting * Math.min(1, share), outbox.nowMs) === Lane.BACKFILL;
  }

  #open(lane: UploadLane, first: Selection, bytesMax: number): void {
    const { outbox, queue, state, pipe, flushing } = this.#with;
    if (state?.state !== 'uploading') return;
    const isLive = lane === this.live;
    lane.begin({
      link: state.link,
      header: this.#header(lane.lane),
      oldestLive: this.#oldestLive(isLive ? first.items.at(0)?.sequence : undefined),
      first,
      bytesMax,
      lingers: isLive && queue.limits.lingerMs > 0 && !flushing && !queue.isForked,
      mark: pipe.mark(outbox.nowMs, this.backfill.bytesUnderWay),
    });
  }

  /** The lowest sequence that is under way in the live lane, or will come there. */
  #oldestLive(opening: number | undefined): number | undefined {
    const { live } = this;
    const from = live.isRewindDue ? (this.#liveFrom ?? 1) : live.next;
    const candidates = [
      opening,
      ...live.streams.map(({ sent }) => sent.at(0)?.first),
      this.#with.queue.firstHeld(this.#liveFrom ?? 1),
      opening === undefined && from <= this.#with.registration.highest ? from : undefined,
    ].filter((sequence) => sequence !== undefined);
    return candidates.length === 0 ? undefined : Math.min(...candidates);
  }

  #header(lane: Lane): UploadHeader {
    const { status, registration } = this.#with;
    const waits = status !== undefined && status.itemsWaiting > 0;
    return {
      epoch: registration.epoch,
      fencingToken: registration.fencingToken,
      lane,
      watermarkUs: 0,
      watermarkSegment: 0,
      backlog: waits ? { first: status.oldestSequence, last: status.highestSequence } : undefined,
      readingsProduced: status?.readingsProduced ?? 0,
      readingsWaiting: status?.readingsWaiting ?? 0,
    };
  }

  /** An answer of the live lane was heard; the next heartbeat is so much later. */
  heard(): void {
    this.#heartbeatAtMs = this.#with.outbox.nowMs + this.#with.queue.limits.heartbeatMs;
  }

  /** What the collector grants backfill from now on; what `stream` took of it counts from when it began. */
  grant(lane: UploadLane, stream: UploadStream, backfillBytesPerSecond: number): void {
    this.#backfillBytesPerSecond = backfillBytesPerSecond;
    if (backfillBytesPerSecond === 0) this.#budgetUntilMs = 0;
    else if (lane === this.backfill) {
      const beganMs = Math.max(stream.startedMs, this.#budgetUntilMs);
      this.#budgetUntilMs = beganMs + (stream.bytes / backfillBytesPerSecond) * 1000;
    }
  }

  get wakeAtMs(): number {
    const { registerAtMs, queue } = this.#with;
    const streamsMs = Math.min(this.live.streamsDueAtMs, this.backfill.streamsDueAtMs);
    if (this.#isEnding) return this.live.isWriting || this.backfill.isWriting || !this.#isBusy ? 0 : streamsMs;
    return Math.min(streamsMs, this.#liveDueAtMs, this.#backfillDueAtMs, registerAtMs, queue.heldUntilMs());
  }

  /** What both lanes do, for whoever looks. */
  state(link: number): UploadState {
    if (this.#isBusy || this.#isEnding) return { state: 'streaming', link };
    const { nowMs } = this.#with.outbox;
    const untilMs = this.wakeAtMs;
    for (const [lane, isDone] of [
      [this.live, this.live.isDoneUpTo(this.#liveLast)],
      [this.backfill, this.#isBackfillDone],
    ] as const) {
      if (!isDone && lane.pauseUntilMs > nowMs)
        return { state: 'holding', link, untilMs, next: 'upload', why: lane.pauseWhy };
    }
    if (this.#isBackfillDone) return { state: 'idle', link, untilMs };
    return { state: 'holding', link, untilMs, next: 'upload', why: 'the budget for backfill' };
  }
}
