import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import { EpochLine, type LineItem, type LineRange, lineRange, pass, type SavedEpochLine } from './epoch-line.js';

/** Sequences that were jumped over, and of some of which nobody has said yet what became of them. */
export interface Hole {
  epoch: string;
  first: number;
  last: number;
  /** When it was found, and when something of it came last: of a clock that only goes on, milliseconds. */
  foundMs: number;
  newsMs: number;
}

/** What the order of a device's items must know of one without readings. */
export interface NotedItem {
  readonly sequence: number;
  readonly declared: readonly LedgerEntry[];
}

/** Where an item stands in its device's history. */
export enum Place {
  /** Right behind what came before it in its epoch. */
  Next = 0,
  /** Ahead of all before it, and readings are missing in between. */
  Jump = 1,
  /** Behind what its epoch has come to: history. */
  Past = 2,
}

/** Holes of a device that are waited for. One that loses more ranges than this at once has its history judged as it stands. */
const HOLES_MAX = 64;

/**
 * Epochs that are remembered for a device. It writes one at a time and still holds items of a few after mishaps; what comes
 * of an older one is judged as the first that is heard of it.
 */
const EPOCHS_MAX = 32;

export interface SavedDeviceLine {
  epochs: [string, SavedEpochLine][];
  holes: { epoch: string; first: number; last: number }[];
}

/**
 * The order of one device's items: what follows on what, what is missing, and of which holes nothing more will come. Nothing
 * here depends on a clock but how long a hole is waited for.
 */
export class DeviceLine {
  readonly epochs = new Map<string, EpochLine>();
  holes: Hole[] = [];
  changed = false;
  /** The newest item that jumped: its epoch, where it begins the line, and where that had come to before. */
  beforeJump = { epoch: '', first: 0, sequence: 0, readingsEnd: 0, lastUs: Number.NEGATIVE_INFINITY };
  /**
   * The earliest event time before which something had been missing that has come with the newest item, in whatever way;
   * Infinity for none.
   */
  mendedUs = Number.POSITIVE_INFINITY;
  /** What the device sent before is not known to this line, and counts as here: see {@link EpochLine.assumeBefore}. */
  assumesPast = false;

  /** Places an item with readings. `epoch` is in hexadecimal digits. */
  place(epoch: string, epochBytes: Uint8Array, item: LineItem, nowMs: number): Place {
    const isThinned = item.replaced.length > 0;
    this.mendedUs = Number.POSITIVE_INFINITY;
    const line = this.#lineOf(epoch, item.sequence);
    this.#take(line, item.sequence, isThinned);
    for (const { epoch: bytes, first, last } of item.replaced) {
      const other = this.#otherLine(Buffer.from(bytes).toString('hex'));
      other?.replace(first, last);
      this.#mended(other);
    }
    if (isThinned) this.#news(epoch, item.sequence, nowMs);
    return this.#placeAt(epoch, line, item, lineRange(item, epochBytes), nowMs);
  }

  /**
   * Notes an item without readings that rules may see, and what it declares lost, in whatever epoch. The next item with
   * readings will find whether something is missing before it.
   */
  note(epoch: string, { sequence, declared }: NotedItem, nowMs: number): void {
    this.changed = true;
    this.mendedUs = Number.POSITIVE_INFINITY;
    for (const { epoch: bytes, first, last } of declared) {
      const lost = Buffer.from(bytes).toString('hex');
      this.#otherLine(lost)?.lose(first, last);
      this.#news(lost, first, nowMs);
    }
    this.#take(this.#lineOf(epoch, sequence), sequence, true);
    this.#news(epoch, sequence, nowMs);
  }

  /** Notes an item whose readings no rule sees, because they are from the future. */
  noteFuture(epoch: string, sequence: number, nowMs: number): void {
    this.changed = true;
    this.mendedUs = Number.POSITIVE_INFINITY;
    const line = this.#lineOf(epoch, sequence);
    line.takeFuture(sequence);
    if (sequence < line.sequence) this.#mended(line);
    this.#news(epoch, sequence, nowMs);
  }

  /** Takes away the holes of which everything is known, or that were waited for long enough; answers how many those are. */
  settle(isDue: (hole: Hole) => boolean): number {
    const before = this.holes.length;
    this.holes = this.holes.filter((hole) => !this.isComplete(hole) && !isDue(hole));
    if (this.holes.length !== before) this.changed = true;
    return before - this.holes.length;
  }

  isComplete({ epoch, first, last }: Hole): boolean {
    return this.epochs.get(epoch)?.isSettled(first, last) ?? true;
  }

  save(): SavedDeviceLine {
    return {
      epochs: [...this.epochs].map(([epoch, line]) => [epoch, line.save()]),
      holes: this.holes.map(({ epoch, first, last }) => ({ epoch, first, last })),
    };
  }

  /** Holes are waited for anew: a device comes back after the collector does. */
  static restore(saved: SavedDeviceLine, nowMs: number): DeviceLine {
    const line = new DeviceLine();
    for (const [epoch, one] of saved.epochs) line.epochs.set(epoch, EpochLine.restore(one));
    line.holes = saved.holes.map((hole) => ({ ...hole, foundMs: nowMs, newsMs: nowMs }));
    return line;
  }

  #placeAt(epoch: string, line: EpochLine, item: LineItem, range: LineRange, nowMs: number): Place {
    const { first, last } = range;
    this.changed = true;
    let place = Place.Past;
    if (first > line.sequence) {
      // An epoch begins because something happened, and who knows what was lost with the one before: a jump, too.
      place = line.continues(line, range) ? Place.Next : Place.Jump;
      const { sequence, readingsEnd, lastUs } = line;
      if (place === Place.Jump) this.beforeJump = { epoch, first, sequence, readingsEnd, lastUs };
      if (place === Place.Jump && !line.isSettled(sequence + 1, first - 1)) {
        this.#dig({ epoch, first: sequence + 1, last: first - 1, foundMs: nowMs, newsMs: nowMs });
      }
    } else this.#news(epoch, first, nowMs);
    if (place !== Place.Next) line.noteBreak(first, item.firstUs);
    pass(line, item, last, item.replaced.length > 0);
    return place;
  }

  #take(line: EpochLine, sequence: number, isEmpty: boolean): void {
    line.take(sequence, isEmpty);
    // What is ahead of everything has nothing behind it that it could mend.
    if (sequence < line.sequence) this.#mended(line);
  }

  #mended(line: EpochLine | undefined): void {
    if (line !== undefined) this.mendedUs = Math.min(this.mendedUs, line.takeMended());
  }

  /** The line of an epoch, made where there is none when something of it comes that stands at `sequence`. */
  #lineOf(epoch: string, sequence: number): EpochLine {
    const known = this.epochs.get(epoch);
    if (known !== undefined) return known;
    if (this.epochs.size >= EPOCHS_MAX) {
      const [oldest] = this.epochs.keys();
      this.epochs.delete(oldest!);
      this.holes = this.holes.filter((hole) => hole.epoch !== oldest);
    }
    const line = new EpochLine();
    if (this.assumesPast) line.assumeBefore(sequence);
    this.epochs.set(epoch, line);
    return line;
  }

  /** The line of an epoch that is only spoken of: for it no other one is forgotten. */
  #otherLine(epoch: string): EpochLine | undefined {
    return this.epochs.size < EPOCHS_MAX ? this.#lineOf(epoch, 1) : this.epochs.get(epoch);
  }

  #dig(hole: Hole): void {
    this.holes.push(hole);
    if (this.holes.length > HOLES_MAX) this.holes.shift();
  }

  #news(epoch: string, sequence: number, nowMs: number): void {
    for (const hole of this.holes) {
      if (hole.epoch === epoch && hole.first <= sequence && sequence <= hole.last) hole.newsMs = nowMs;
    }
  }
}
