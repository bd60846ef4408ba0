import { DeferralReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type DeviceCommit, type DeviceCommitOutcome, ItemOutcome } from '../store/store.js';
import { StoreError } from '../store/store-error.js';
import { CommitGroup, type DevicePart } from './commit-group.js';
import type { Follower, Watermark } from './committed.js';
import type { DeviceSession, EpochSession } from './device-session.js';
import { FollowQueue } from './follow-queue.js';
import type { IngestCounters } from './ingest-counters.js';
import type { IngestLimits } from './ingest-limits.js';
import type { PendingItem } from './pending-item.js';

/** What the committer asks of its host. */
export interface CommitPort {
  /** Call {@link GroupCommitter.turn} soon, when what has arrived by now was read: after this turn of the event loop. */
  wake(): void;
  /** Commit, and answer with `done` or `failed`: later, never from within this call. */
  begin(devices: readonly DeviceCommit[]): void;
  /** A part of the collector threw what is no known error; for the log, with its stack. */
  bug(error: unknown, doing: string): void;
}

/**
 * Each attempt splits what failed in two. One bad item in a full commit of 4,096 takes 2 * 12 + 1 of them; with this many
 * two bad ones are found, and a store that fails always is not asked for long.
 */
const ATTEMPTS_MAX = 64;

/** Failing alone twice may be chance; the third time it is the item. */
const FAILURES_ALONE_MAX = 3;

/** Suspects that are remembered; each is some 100 bytes. */
const SUSPECTS_MAX = 1024;

const SUPERSEDED = 'replaced: one of these sequences is stored already, with all of its readings; declare the others';

type State =
  | { state: 'idle' }
  | { state: 'woken' }
  /** `slice` is with the store; the rest of its group waits in `rest`, the next at the end. */
  | { state: 'committing'; group: CommitGroup; slice: DevicePart[]; rest: DevicePart[][]; attempts: number };

/**
 * Gathers items of many devices while a commit runs, and commits at once when none does. A commit that fails is split
 * until the item that the store cannot take is alone, so that it hurts nobody else.
 */
export class GroupCommitter {
  #state: State = { state: 'idle' };
  /** Groups that are full, in order, then the one that is being gathered. */
  readonly #queue: CommitGroup[] = [];
  readonly #spare: CommitGroup[] = [];
  #gathering: CommitGroup;
  /** Of items that failed alone: how often, and how many commits had succeeded by then. */
  readonly #failuresAlone = new Map<string, { failures: number; commits: number }>();
  readonly #limits: IngestLimits;
  readonly #port: CommitPort;
  readonly #follower: Follower;
  readonly #counters: IngestCounters;
  /** What was acknowledged and is still to be followed. */
  readonly #followed: FollowQueue;

  constructor(limits: IngestLimits, port: CommitPort, follower: Follower, counters: IngestCounters) {
    this.#limits = limits;
    this.#port = port;
    this.#follower = follower;
    this.#counters = counters;
    this.#followed = new FollowQueue({
      follower,
      wake: () => port.wake(),
      release: (group) => this.#release(group),
      bug: (error, doing) => port.bug(error, doing),
    });
    this.#gathering = new CommitGroup();
    this.#queue.push(this.#gathering);
  }

  /** Where items go now, and their batches are decoded: valid until the next call of this committer. */
  get group(): CommitGroup {
    return this.#gathering;
  }

  /** Nothing is gathered, nothing is with the store, and everything that is stored was followed. */
  get idle(): boolean {
    return this.#state.state === 'idle' && this.#followed.idle;
  }

  /** Makes room for an item: a sequence that is in the group already, or a full group, begins the next one. */
  prepare(epoch: EpochSession, sequence: number): void {
    const group = this.#gathering;
    const { commitBytesMax, commitItemsMax, commitDecodedBytesMax } = this.#limits;
    const full =
      group.items >= commitItemsMax || group.bytes >= commitBytesMax || group.arena.usedBytes >= commitDecodedBytesMax;
    const { part } = epoch;
    if (full || (part !== undefined && part.group === group && part.has(sequence))) this.#rotate();
  }

  add(item: PendingItem, token: number): void {
    const group = this.#gathering;
    group.partOf(item.session, item.epochSession, token).add(item);
    group.items++;
    group.bytes += item.body.length;
    this.#wake();
  }

  /** Tells the store of the device's counts with the next commit, even if it has no items. */
  touch(session: DeviceSession, epoch: EpochSession, token: number): void {
    this.#gathering.partOf(session, epoch, token);
    this.#wake();
  }

  /** No live reading of the device older than this will come; passed on behind the batches that came before it. */
  watermark(watermark: Watermark): void {
    this.#followed.watermark(watermark);
  }

  /** Begins a commit when none runs and there is something to commit, and follows a little of what is committed. */
  turn(): void {
    this.#start();
    this.#followed.step();
  }

  #start(): void {
    if (this.#state.state === 'committing') return;
    const group = this.#nextGroup();
    if (group === undefined) {
      this.#state = { state: 'idle' };
      return;
    }
    this.#begin(group, group.parts, [], 1);
  }

  /** The store has committed what `begin` gave it. */
  done(outcomes: readonly DeviceCommitOutcome[], nowUs: number): void {
    const { group, slice, rest, attempts } = this.#running();
    this.#counters.commits++;
    releaseWatermarks(slice);
    // The store works on the next commit while this one is settled.
    this.#proceed(group, rest, attempts);
    this.#followed.makeRoom();
    this.#followed.commit(slice, outcomes, nowUs);
    // The answers go out before anything is followed: they do not depend on it.
    this.#settle(slice, outcomes);
    if (rest.length === 0 && !this.#isRunning(group)) this.#followed.release(group);
  }

  /** The store has refused what `begin` gave it; nothing of it is there. */
  failed(error: unknown): void {
    const { group, slice, rest, attempts } = this.#running();
    this.#counters.commitsFailed++;
    releaseWatermarks(slice);
    const items = slice.reduce((sum, part) => sum + part.items.length, 0);
    if (error instanceof StoreError || attempts >= ATTEMPTS_MAX || items === 0) {
      if (!(error instanceof StoreError)) this.#port.bug(error, 'committing');
      // What is wrong with the store is wrong for all of the group.
      const all = [slice, ...rest];
      this.#proceed(group, [], attempts);
      for (const parts of all) this.#defer(parts);
      if (error instanceof StoreError && error.code === 'io') {
        for (const { deviceId } of slice) this.#follower.uncertain?.(deviceId);
      }
      this.#followed.release(group);
      return;
    }
    if (items > 1) {
      const [front, back] = halves(slice, items);
      rest.push(back, front);
      this.#proceed(group, rest, attempts);
      return;
    }
    this.#port.bug(error, 'committing one item');
    this.#proceed(group, rest, attempts);
    this.#suspect(slice);
    if (rest.length === 0 && !this.#isRunning(group)) this.#followed.release(group);
  }

  #running() {
    if (this.#state.state !== 'committing') throw new Error('the store answered a commit that was not begun');
    return this.#state;
  }

  #isRunning(group: CommitGroup): boolean {
    return this.#state.state === 'committing' && this.#state.group === group;
  }

  #begin(group: CommitGroup, slice: DevicePart[], rest: DevicePart[][], attempts: number): void {
    for (const part of slice) {
      part.takeCounts();
      part.settleLanes();
    }
    this.#state = { state: 'committing', group, slice, rest, attempts };
    this.#port.begin(slice);
  }

  /** Goes on with what is left of a group, or with the next group. */
  #proceed(group: CommitGroup, rest: DevicePart[][], attempts: number): void {
    const slice = rest.pop();
    if (slice !== undefined) {
      this.#begin(group, slice, rest, attempts + 1);
      return;
    }
    this.#state = { state: 'idle' };
    this.#start();
  }

  #wake(): void {
    if (this.#state.state !== 'idle') return;
    this.#state = { state: 'woken' };
    this.#port.wake();
  }

  #rotate(): void {
    this.#gathering = this.#spare.pop() ?? new CommitGroup();
    this.#queue.push(this.#gathering);
  }

  #nextGroup(): CommitGroup | undefined {
    if (this.#queue[0].parts.length === 0) return undefined;
    if (this.#queue.length === 1) this.#rotate();
    return this.#queue.shift();
  }

  #release(group: CommitGroup): void {
    group.clear();
    // Two groups take turns; the memory of more, from a time of pressure, is given back.
    if (this.#spare.length < 2) this.#spare.push(group);
  }

  #settle(slice: readonly DevicePart[], outcomes: readonly DeviceCommitOutcome[]): void {
    for (let at = 0; at < slice.length; at++) {
      const part = slice[at];
      const outcome = outcomes[at];
      if (outcome.outcome === 'fenced') {
        part.session.fence(part.fencingToken);
        for (const item of part.items) item.owner.later(item, DeferralReason.REGISTER_AGAIN, 0);
        continue;
      }
      this.#settlePart(part, outcome.items);
    }
  }

  #settlePart({ items, epochSession }: DevicePart, outcomes: Uint8Array): void {
    const counters = this.#counters;
    // Runs of neighbours become one interval each.
    let first = 0;
    let last = -1;
    for (let index = 0; index < items.length; index++) {
      const item = items[index];
      const outcome: ItemOutcome = outcomes[index];
      if (outcome === ItemOutcome.Fork) {
        counters.forks++;
        item.owner.forked(item);
        continue;
      }
      if (outcome === ItemOutcome.Superseded) continue;
      if (outcome === ItemOutcome.Stored) {
        counters.itemsStored++;
        counters.readingsStored += item.readings + item.kept;
        counters.bytesStored += item.body.length;
      } else counters.duplicates++;
      if (item.sequence !== last + 1) {
        if (last > 0) epochSession.stored.add(first, last);
        first = item.sequence;
      }
      last = item.sequence;
    }
    if (last > 0) {
      epochSession.stored.add(first, last);
      if (last > epochSession.highest) epochSession.highest = last;
    }
    // The answers come after the sets: an answer may be the last thing that a stream waits for.
    for (let index = 0; index < items.length; index++) {
      const outcome: ItemOutcome = outcomes[index];
      const item = items[index];
      if (outcome === ItemOutcome.Superseded) item.owner.rejected(item, RejectionReason.MALFORMED, SUPERSEDED);
      else if (outcome !== ItemOutcome.Fork) item.owner.durable(item);
    }
  }

  #defer(parts: readonly DevicePart[]): void {
    const { storeDelayMs } = this.#limits;
    for (const { items, epochSession } of parts) {
      epochSession.countsUntold = true;
      for (const item of items) item.owner.later(item, DeferralReason.STORE, storeDelayMs);
    }
  }

  /**
   * An item failed alone. It is tried again, and given up when it goes on so while others are stored. Where there are no
   * others, because the item is at the head of the only queue, the device's counts are: a commit without it tells as well
   * whether it is the item or the store.
   */
  #suspect(slice: readonly DevicePart[]): void {
    const part = slice.find(({ items }) => items.length > 0) as DevicePart;
    const [item] = part.items;
    this.touch(part.session, part.epochSession, part.fencingToken);
    const key = `${item.deviceId}/${item.epochId}/${item.sequence}`;
    const before = this.#failuresAlone.get(key);
    const { commits } = this.#counters;
    const failures = before === undefined ? 1 : before.failures + (commits > before.commits ? 1 : 0);
    this.#failuresAlone.delete(key);
    if (failures >= FAILURES_ALONE_MAX) {
      item.owner.rejected(item, RejectionReason.MALFORMED, `the store failed with this item ${failures} times`);
      return;
    }
    this.#failuresAlone.set(key, { failures, commits });
    if (this.#failuresAlone.size > SUSPECTS_MAX) {
      for (const oldest of this.#failuresAlone.keys()) {
        this.#failuresAlone.delete(oldest);
        break;
      }
    }
    this.#defer(slice);
  }
}

/** What was with the store is followed before any answer brings a watermark. */
function releaseWatermarks(slice: readonly DevicePart[]): void {
  for (const { session } of slice) session.committingFromUs = Number.POSITIVE_INFINITY;
}

/** Splits by items, so that a part of one device may be cut. Both halves have items when there are two. */
function halves(slice: readonly DevicePart[], items: number): [DevicePart[], DevicePart[]] {
  const front: DevicePart[] = [];
  const back: DevicePart[] = [];
  let room = items >>> 1;
  for (const part of slice) {
    const { length } = part.items;
    if (length <= room) front.push(part);
    else if (room === 0) back.push(part);
    else {
      front.push(part.slice(0, room));
      back.push(part.slice(room, length));
    }
    room = Math.max(0, room - length);
  }
  return [front, back];
}
