import { parseDurationMs } from '@tributary/core/config/duration';

/** What a device read at a moment; `lost` is a reading that it took and that never comes. */
export type Slot = { kind: 'missing' } | { kind: 'lost' } | { kind: 'reading'; value: number | boolean | string };

export type NotationType = 'double' | 'boolean' | 'string';

/** Slots of one entry, not written out: few characters stand for many. */
interface Run {
  count: number;
  slot: (index: number) => Slot;
}

/** Slots that follow one another by the interval, the first of them at `startMs` from the beginning of the trial. */
interface Segment {
  /** Index of the character that it begins at. */
  at: number;
  startMs: number;
  runs: Run[];
}

/** A series' readings as they were written: times need the interval, see `timedSlots`. */
export interface Notation {
  type: NotationType;
  /** Slots in all. */
  count: number;
  segments: Segment[];
}

export interface NotationProblem {
  /** Index of the character that is to blame. */
  at: number;
  /** What is wrong and, after a semicolon, what would be right. */
  problem: string;
}

export type NotationResult = { ok: true; notation: Notation } | ({ ok: false } & NotationProblem);

/** A day of a reading a second is 86,400: more belongs into a replay of what is stored. */
export const SLOTS_MAX = 100_000;

const space = /[ \t\r\n]*/y;
const number = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const step = /[+-]\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const text = /"(?:[^"\\]|\\.)*"/y;
const word = /(?:_|lost|NaN|-Inf|\+?Inf|true|false)(?![A-Za-wyz_])/y;
const time = /@([0-9a-z]*)/y;
const times = /x(\d*)/y;
const rest = /[^ \t\r\n]*/y;

const WORDS: Readonly<Record<string, Slot>> = {
  _: { kind: 'missing' },
  lost: { kind: 'lost' },
  NaN: { kind: 'reading', value: Number.NaN },
  Inf: { kind: 'reading', value: Number.POSITIVE_INFINITY },
  '+Inf': { kind: 'reading', value: Number.POSITIVE_INFINITY },
  '-Inf': { kind: 'reading', value: Number.NEGATIVE_INFINITY },
  true: { kind: 'reading', value: true },
  false: { kind: 'reading', value: false },
};

/**
 * Reads the compact notation of a series' readings: `20 21x3 _ NaN 20+0.5x10 "open" lost @5m 22`. The grammar stands in
 * docs/ALERTS.md.
 */
export function parseNotation(source: string): NotationResult {
  return new Parser(source).parse();
}

/** A slot that holds something, with its time. */
export interface TimedSlot {
  /** Milliseconds from the beginning of the trial. */
  offsetMs: number;
  slot: Exclude<Slot, { kind: 'missing' }>;
}

/** The times of all slots by the interval. A time that does not lie behind the slots before it is a problem. */
export function timedSlots({ segments }: Notation, intervalMs: number): TimedSlot[] | NotationProblem {
  const timed: TimedSlot[] = [];
  let lastMs = -1;
  for (const { at, startMs, runs } of segments) {
    if (startMs <= lastMs) {
      return { at, problem: `this time is not later than the slot before it, at ${lastMs} ms; write a later one` };
    }
    let nextMs = startMs;
    for (const { count, slot: slotAt } of runs) {
      for (let index = 0; index < count; index += 1, nextMs += intervalMs) {
        const slot = slotAt(index);
        if (slot.kind !== 'missing') timed.push({ offsetMs: nextMs, slot });
      }
    }
    if (nextMs > startMs) lastMs = nextMs - intervalMs;
  }
  return timed;
}

/** Thrown within the parser alone. */
class Blame extends Error {
  readonly at: number;

  constructor(at: number, problem: string) {
    super(problem);
    this.at = at;
  }
}

class Parser {
  readonly #source: string;
  #at = 0;
  #count = 0;
  #type: NotationType | undefined;
  readonly #segments: Segment[] = [{ at: 0, startMs: 0, runs: [] }];

  constructor(source: string) {
    this.#source = source;
  }

  parse(): NotationResult {
    try {
      this.#take(space);
      while (this.#at < this.#source.length) this.#entry();
    } catch (error) {
      if (!(error instanceof Blame)) throw error;
      return { ok: false, at: error.at, problem: error.message };
    }
    if (this.#count === 0) {
      return { ok: false, at: 0, problem: 'no readings; write values such as 20 21x3 _ 22, or leave the series out' };
    }
    return { ok: true, notation: { type: this.#type ?? 'double', count: this.#count, segments: this.#segments } };
  }

  #entry(): void {
    const begin = this.#at;
    const at = this.#take(time);
    if (at !== undefined) this.#time(begin, at[1] ?? '');
    else this.#values(begin);
    const end = this.#at;
    this.#take(space);
    if (this.#at === end && end < this.#source.length) {
      const word = this.#source.slice(begin, end + this.#rest().length);
      throw new Blame(end, `${quoted(word)} goes on where it should end; write a space between two entries`);
    }
  }

  #time(begin: number, digits: string): void {
    const startMs = parseDurationMs(digits);
    if (startMs === undefined) {
      throw new Blame(begin, `@${digits} is no time; write how long after the beginning, such as @90s or @5m`);
    }
    this.#segments.push({ at: begin, startMs, runs: [] });
  }

  #values(begin: number): void {
    const from = this.#take(number)?.[0];
    if (from === undefined) {
      const slot = this.#single(begin);
      this.#add(begin, { count: this.#repeat() ?? 1, slot: () => slot });
      return;
    }
    const by = this.#take(step)?.[0];
    const count = this.#repeat();
    if (by !== undefined && count === undefined) {
      throw new Blame(begin, `${from}${by} has a step and no count; write ${from}${by}x10 for ten readings`);
    }
    if (!Number.isFinite(Number(from))) throw new Blame(begin, `${from} is beyond what a double holds; write Inf`);
    this.#add(begin, { count: count ?? 1, slot: ramp(from, by ?? '+0') });
  }

  #single(begin: number): Slot {
    const known = this.#take(word)?.[0];
    if (known !== undefined) return WORDS[known] as Slot;
    const literal = this.#take(text)?.[0];
    if (literal !== undefined) return { kind: 'reading', value: this.#string(begin, literal) };
    const found = this.#rest();
    if (found.startsWith('"')) throw new Blame(begin, `${quoted(found)} has no closing quote; write "open"`);
    throw new Blame(
      begin,
      `${quoted(found)} is no value; write a number, NaN, Inf, true, false, "text", _ for no reading, or lost`,
    );
  }

  #string(begin: number, literal: string): string {
    try {
      return JSON.parse(literal) as string;
    } catch {
      throw new Blame(begin, `${quoted(literal)} is no text as JSON has it; write \\" and \\\\ inside of quotes`);
    }
  }

  /** The count of `x3`; undefined where there is none. */
  #repeat(): number | undefined {
    const begin = this.#at;
    const digits = this.#take(times)?.[1];
    if (digits === undefined) return undefined;
    const count = Number(digits);
    if (digits === '' || count === 0) throw new Blame(begin, 'x without a count; write x3 for three readings in all');
    if (count > SLOTS_MAX) throw new Blame(begin, `x${digits} is too many; at most ${SLOTS_MAX} are taken`);
    return count;
  }

  #add(begin: number, run: Run): void {
    this.#count += run.count;
    if (this.#count > SLOTS_MAX) throw new Blame(begin, `more than ${SLOTS_MAX} slots; make the interval longer`);
    const first = run.slot(0);
    if (first.kind === 'reading') this.#note(begin, first.value);
    this.#segments[this.#segments.length - 1]!.runs.push(run);
  }

  /** A series has one type. */
  #note(begin: number, value: number | boolean | string): void {
    const type = typeof value === 'number' ? 'double' : typeof value === 'boolean' ? 'boolean' : 'string';
    this.#type ??= type;
    if (type !== this.#type) {
      throw new Blame(begin, `a ${type} in a series of ${this.#type}s; a series has values of one type`);
    }
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (match === null) return undefined;
    this.#at = pattern.lastIndex;
    return match;
  }

  #rest(): string {
    rest.lastIndex = this.#at;
    return rest.exec(this.#source)?.[0] ?? '';
  }
}

/** The decimal numbers that one would write down: 20+0.1x4 is 20, 20.1, 20.2, 20.3 whatever doubles make of the sum. */
function ramp(from: string, by: string): Run['slot'] {
  const start = Number(from);
  const difference = Number(by);
  const decimals = Math.max(decimalsOf(from), decimalsOf(by));
  return (index) => {
    if (difference === 0) return { kind: 'reading', value: start };
    const sum = start + index * difference;
    return { kind: 'reading', value: decimals > DECIMALS_MAX ? sum : Number(sum.toFixed(decimals)) };
  };
}

/** A double has no more than this after the point that means anything. */
const DECIMALS_MAX = 15;

function decimalsOf(literal: string): number {
  const [mantissa = '', exponent = '0'] = literal.toLowerCase().split('e');
  return Math.max(0, (mantissa.split('.')[1] ?? '').length - Number(exponent));
}

function quoted(found: string): string {
  const shown = found.length > 30 ? `${found.slice(0, 30)}...` : found;
  return `\`${shown}\``;
}
