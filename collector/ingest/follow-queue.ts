import { type DeviceCommitOutcome, ItemOutcome } from '../store/store.js';
import { hasReadings } from '../store/thinned-item.js';
import type { CommitGroup, DevicePart } from './commit-group.js';
import type { Follower, Watermark } from './committed.js';
import type { PendingItem } from './pending-item.js';

/**
 * Readings that one turn of the event loop digests: some 5 ms on a small machine, after which whatever has arrived is
 * read and answered. A device's part of a commit is not cut, because its mark stands for all of it.
 */
const READINGS_PER_TURN = 16_384;

/**
 * Commits that wait to be followed; each holds the memory that its batches were decoded into. Beyond this the next commit
 * is settled only after the oldest was followed.
 */
const COMMITS_MAX = 3;

interface CommittedSlice {
  kind: 'commit';
  slice: readonly DevicePart[];
  outcomes: readonly DeviceCommitOutcome[];
  nowUs: number;
  /** The part that is followed next. */
  next: number;
}

type Waiting =
  | CommittedSlice
  /** Everything that was decoded into the group's memory was followed. */
  | { kind: 'release'; group: CommitGroup }
  | { kind: 'watermark'; watermark: Watermark };

export interface FollowQueueOptions {
  follower: Follower;
  /** Call {@link FollowQueue.step} in a later turn of the event loop. */
  wake: () => void;
  release: (group: CommitGroup) => void;
  bug: (error: unknown, doing: string) => void;
}

/**
 * What was committed and acknowledged, and is to be followed by rollups and rules: in order, a little in each turn, so that
 * what one device has sent does not keep the answers of others waiting.
 */
export class FollowQueue {
  readonly #waiting: Waiting[] = [];
  readonly #options: FollowQueueOptions;
  #commits = 0;

  constructor(options: FollowQueueOptions) {
    this.#options = options;
  }

  get idle(): boolean {
    return this.#waiting.length === 0;
  }

  /** Makes room for one more commit, at once and however long it takes. */
  makeRoom(): void {
    while (this.#commits >= COMMITS_MAX) this.step();
  }

  commit(slice: readonly DevicePart[], outcomes: readonly DeviceCommitOutcome[], nowUs: number): void {
    this.#commits++;
    this.#add({ kind: 'commit', slice, outcomes, nowUs, next: 0 });
  }

  /** Hands the group back when what came before was followed. */
  release(group: CommitGroup): void {
    this.#add({ kind: 'release', group });
  }

  /** Passes a watermark on when the batches that came before it were followed. */
  watermark(watermark: Watermark): void {
    this.#add({ kind: 'watermark', watermark });
  }

  /** Follows what one turn has time for; asks for another when something is left. */
  step(): void {
    let room = READINGS_PER_TURN;
    let done = 0;
    while (done < this.#waiting.length && room > 0) {
      const waiting = this.#waiting[done];
      if (waiting.kind === 'commit') {
        while (room > 0 && waiting.next < waiting.slice.length) room -= this.#follow(waiting);
        if (waiting.next < waiting.slice.length) break;
        this.#commits--;
      } else if (waiting.kind === 'release') this.#options.release(waiting.group);
      else this.#passWatermark(waiting.watermark);
      done++;
    }
    this.#waiting.splice(0, done);
    if (this.#waiting.length > 0) this.#options.wake();
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1) this.#options.wake();
  }

  /** Follows the next parts of a commit, at least one; answers the readings in them. */
  #follow(commit: CommittedSlice): number {
    const { slice, outcomes, nowUs } = commit;
    const { follower, bug } = this.#options;
    const batches: PendingItem[] = [];
    const notes: PendingItem[] = [];
    const from = commit.next;
    let readings = 0;
    while (commit.next < slice.length && readings < READINGS_PER_TURN) {
      const at = commit.next++;
      const outcome = outcomes[at];
      if (outcome.outcome !== 'committed') continue;
      const { items } = slice[at];
      for (let index = 0; index < items.length; index++) {
        const item = items[index];
        if (outcome.items[index] !== ItemOutcome.Stored) continue;
        item.position = outcome.position;
        if (!hasReadings(item.kind)) notes.push(item);
        if (item.decoded === undefined) continue;
        batches.push(item);
        readings += item.readings + item.kept;
      }
    }
    try {
      if (notes.length > 0) follower.note?.(notes);
      if (batches.length > 0) follower.follow(batches, nowUs);
      for (let at = from; at < commit.next; at++) {
        const outcome = outcomes[at];
        if (outcome.outcome === 'committed') follower.committed?.(slice[at].deviceId, outcome.position);
      }
    } catch (error) {
      // The items are durable whatever follows.
      bug(error, 'following a commit');
    }
    return readings;
  }

  #passWatermark(watermark: Watermark): void {
    const { follower, bug } = this.#options;
    try {
      follower.watermark?.(watermark);
    } catch (error) {
      bug(error, 'following a watermark');
    }
  }
}
