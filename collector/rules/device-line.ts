/** Sequences that live data has jumped over, and that may still come as backfill. */
export interface Hole {
  epochId: number;
  first: number;
  last: number;
  /** Holes of a device are numbered in the order in which they were found. */
  generation: number;
  /** History of an epoch that began before anything that is known: nothing of the state then is known either. */
  fresh: boolean;
}

/** Where a batch stands in a device's history. */
export type Place =
  /** Ahead of all before it: it moves the state of rules forward. */
  | { kind: 'forward' }
  /** Older than the state: it is judged in a pass of its own. `complete` are holes that nothing more will come for. */
  | { kind: 'history'; hole: Hole; complete: readonly Hole[] };

/**
 * Holes that are remembered for a device. A lost range stays a hole for ever, and a device that loses more ranges than
 * this during one backfill has its oldest history judged as it stands.
 */
const HOLES_MAX = 64;

/**
 * Epochs that are remembered for a device. It writes one at a time and still holds items of a few after mishaps; what comes
 * of an older one is judged as history of an epoch that is new.
 */
const EPOCHS_MAX = 32;

const FORWARD: Place = { kind: 'forward' };

/** The order of one device's batches, from sequences alone. Plain data, so that it can be written down. */
export class DeviceLine {
  /** Highest sequence that moved the state forward, by epoch. */
  readonly frontier = new Map<number, number>();
  readonly holes: Hole[] = [];
  /** Of the newest hole. */
  generation = 0;
  changed = false;

  /** Places a batch. `evicted` gets holes that had to be forgotten. */
  place(epochId: number, sequence: number, live: boolean, evicted: (hole: Hole) => void): Place {
    const frontier = this.frontier.get(epochId);
    this.changed = true;
    if (frontier === undefined) return this.#placeInNewEpoch(epochId, sequence, live, evicted);
    if (sequence <= frontier || !live) {
      const hole = this.holes.findLast((h) => h.epochId === epochId && h.first <= sequence && sequence <= h.last);
      if (hole !== undefined) return this.#fill(hole, sequence);
    }
    if (sequence > frontier) {
      if (live && sequence > frontier + 1) this.#open(epochId, frontier + 1, sequence - 1, false, evicted);
      this.frontier.set(epochId, sequence);
    }
    return FORWARD;
  }

  #placeInNewEpoch(epochId: number, sequence: number, live: boolean, evicted: (hole: Hole) => void): Place {
    if (this.frontier.size >= EPOCHS_MAX) this.#forgetEpoch(evicted);
    this.frontier.set(epochId, sequence);
    const known = this.frontier.size > 1;
    if (!live) {
      if (!known) return FORWARD;
      const hole = this.#open(epochId, 1, Number.MAX_SAFE_INTEGER, true, evicted);
      return { kind: 'history', hole, complete: [] };
    }
    // A device writes one epoch at a time: what is left of the others is history from now on.
    for (const [other, frontier] of this.frontier) {
      const last = Number.MAX_SAFE_INTEGER;
      if (other === epochId || this.holes.some((hole) => hole.epochId === other && hole.last === last)) continue;
      this.#open(other, frontier + 1, last, false, evicted);
    }
    if (sequence > 1) this.#open(epochId, 1, sequence - 1, !known, evicted);
    return FORWARD;
  }

  /** Forgets the epoch that was seen first. */
  #forgetEpoch(evicted: (hole: Hole) => void): void {
    const [oldest] = this.frontier.keys();
    this.frontier.delete(oldest!);
    for (const hole of this.holes.filter(({ epochId }) => epochId === oldest)) {
      this.holes.splice(this.holes.indexOf(hole), 1);
      evicted(hole);
    }
  }

  #fill(hole: Hole, sequence: number): Place {
    // Order holds within a lane, so earlier holes of this epoch get nothing more.
    const complete = this.holes.filter(
      (h) => h.epochId === hole.epochId && (h.last < hole.first || (h === hole && sequence === hole.last)),
    );
    for (const done of complete) this.holes.splice(this.holes.indexOf(done), 1);
    return { kind: 'history', hole, complete };
  }

  #open(epochId: number, first: number, last: number, fresh: boolean, evicted: (hole: Hole) => void): Hole {
    this.generation += 1;
    const hole = { epochId, first, last, generation: this.generation, fresh };
    this.holes.push(hole);
    if (this.holes.length > HOLES_MAX) evicted(this.holes.shift()!);
    return hole;
  }
}
