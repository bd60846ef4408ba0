import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoredSeries } from '../rig/observer.js';
import type { FaultCounts } from './fault.js';

/** The series of a numbered row; the values follow from the number, so that any other is an altered one. */
const SERIES: readonly { name: string; value: (number: number) => number }[] = [
  { name: 'number', value: (number) => number },
  { name: 'tenth', value: (number) => number / 10 },
  // A double of many digits: what a careless encoding would round.
  { name: 'mixed', value: (number) => (mixed(number) / 2 ** 32) * 200 - 100 },
  { name: 'steady', value: (number) => Math.floor(number / 500) },
];

/** Readings of one row. */
export const ROW_READINGS = SERIES.length;

/** Rows of one life at the most: a table of them is 200 MB, and the longest soak needs no more. */
const LIFE_ROWS_MAX = 4_000_000;

/** Times begin so far in the past that no row is of the future, however fast months of rows are replayed. */
const PAST_US = 1000 * 86_400_000_000;

interface Life {
  /** Number of its first row. */
  first: number;
  /** Rows that its table has. */
  rows: number;
  /** Readings of it that were committed; undefined while nobody has looked. */
  committed: number | undefined;
  /** Rows of it up to the last that lay in the buffer when it ended, where its counters could not say. */
  rowsWaiting?: number;
}

export interface NumberedSource {
  type: 'replay';
  name: string;
  path: string;
  paced: boolean;
}

/**
 * A ledger outside the system under test. Each row that a device reads bears the next number, in its time and in all its
 * values; each life of the device continues where the last table ended. What a device committed of a life is always a
 * beginning of it, so lost, doubled, mixed-up and altered readings are found by comparing numbers.
 */
export class NumberedReadings {
  readonly #lives: Life[] = [];
  readonly #startUs = Math.floor(Date.now() / 1000) * 1_000_000 - PAST_US;

  /** `stepUs` is the time between two rows. */
  constructor(
    private readonly folder: string,
    private readonly device: string,
    readonly stepUs = 1000,
  ) {}

  /** The next table as a source for an agent, paced in real time or as fast as it is taken. */
  next(rows: number, paced = true): NumberedSource {
    if (rows > LIFE_ROWS_MAX) throw new RangeError(`${rows} rows in a table; at most ${LIFE_ROWS_MAX}`);
    const first = this.#next;
    const path = join(this.folder, `${this.device}-${this.#lives.length}.csv`);
    const lines = [`time_us,${SERIES.map(({ name }) => name).join(',')}`];
    for (let number = first; number < first + rows; number++) {
      lines.push(`${this.#timeUs(number)},${SERIES.map(({ value }) => value(number)).join(',')}`);
    }
    writeFileSync(path, `${lines.join('\n')}\n`);
    this.#lives.push({ first, rows, committed: undefined });
    return { type: 'replay', name: 'numbered', path, paced };
  }

  /**
   * Notes what the device's disk says that it had taken, over all its lives, when the latest ended: the difference to
   * before is what that life committed.
   */
  committed(total: number): void {
    const life = this.#lives.at(-1);
    if (life === undefined) throw new Error('no table was made');
    const before = this.#lives.slice(0, -1).reduce((sum, { committed }) => sum + (committed ?? 0), 0);
    life.committed = total - before;
  }

  /** The latest life, counted from 0. */
  get latest(): number {
    return this.#lives.length - 1;
  }

  /** Notes what one life had committed, where lives run side by side or their disk was exchanged. */
  committedIn(life: number, readings: number): void {
    this.#lives[life]!.committed = readings;
  }

  /**
   * Notes what lay in the buffer when the latest life ended, by the number of the newest row (undefined where there was
   * none): what came before it was committed. What was committed and had gone by then is known by what is stored.
   */
  waiting(newest: number | undefined): void {
    const life = this.#lives.at(-1);
    if (life === undefined) throw new Error('no table was made');
    life.rowsWaiting = newest === undefined ? 0 : Math.max(0, newest - life.first + 1);
  }

  /** Readings that were committed, over all lives that ended. */
  get produced(): number {
    return this.#lives.reduce((sum, { committed }) => sum + (committed ?? 0), 0);
  }

  /** Readings of the latest table. */
  get readingsOfLast(): number {
    return (this.#lives.at(-1)?.rows ?? 0) * SERIES.length;
  }

  /** In how many pieces without a hole what is stored of the latest table lies. */
  runsOfLast(found: ReadonlyMap<string, StoredSeries>): number {
    const { first, rows } = this.#lives.at(-1)!;
    const seen = new Uint8Array(rows);
    for (const number of found.get(SERIES[0]!.name)?.values ?? []) if (number >= first) seen[number - first] = 1;
    let runs = 0;
    for (let row = 0; row < rows; row++) if (seen[row] === 1 && (row === 0 || seen[row - 1] === 0)) runs++;
    return runs;
  }

  /** What a collector answers for the device, against the ledger. `declared` is from the collector's ledger. */
  compare(found: ReadonlyMap<string, StoredSeries>, declared: number): { counts: FaultCounts; problems: string[] } {
    const problems: string[] = [];
    const counts = { produced: this.produced, stored: 0, declared, missing: 0, duplicates: 0, altered: 0 };
    const end = this.#next;
    const storedOfLife = this.#lives.map(() => 0);
    for (const name of found.keys()) {
      if (SERIES.every((series) => series.name !== name)) problems.push(`a series ${name} that nobody produced`);
    }
    for (const { name, value } of SERIES) {
      const seen = new Uint8Array(end);
      const { timesUs, values } = found.get(name) ?? { timesUs: [], values: [] };
      for (const [at, timeUs] of timesUs.entries()) {
        const number = (timeUs - this.#startUs) / this.stepUs;
        const isKnown = Number.isInteger(number) && number >= 0 && number < end;
        if (!isKnown || !Object.is(values[at], value(number))) counts.altered++;
        else if (seen[number] === 1) counts.duplicates++;
        else seen[number] = 1;
      }
      for (const [at, { first, rows }] of this.#lives.entries()) {
        let stored = 0;
        let last = -1;
        for (let row = 0; row < rows; row++) {
          if (seen[first + row] === 0) continue;
          stored++;
          last = row;
        }
        storedOfLife[at] += stored;
        counts.stored += stored;
        // Without declared losses what is stored of a life is a beginning of it.
        if (declared === 0 && stored !== last + 1) {
          problems.push(`${name}: life ${at + 1} has holes: ${stored} of ${last + 1} rows`);
        }
      }
    }
    for (const [at, life] of this.#lives.entries()) {
      if (life.rowsWaiting !== undefined) {
        life.committed = Math.max(life.rowsWaiting * SERIES.length, storedOfLife[at]!);
        counts.produced = this.produced;
      }
      const { committed } = life;
      if (committed === undefined || storedOfLife[at]! <= committed) continue;
      problems.push(`life ${at + 1}: ${storedOfLife[at]} readings are stored and ${committed} were committed`);
    }
    counts.missing = Math.max(0, counts.produced - counts.stored - declared);
    return { counts, problems };
  }

  get #next(): number {
    const last = this.#lives.at(-1);
    return last === undefined ? 0 : last.first + last.rows;
  }

  #timeUs(number: number): number {
    return this.#startUs + number * this.stepUs;
  }
}

/** A hash of 32 bits (the finalizer of MurmurHash3): neighbouring numbers have nothing in common. */
function mixed(number: number): number {
  let z = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
