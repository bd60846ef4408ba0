import type { ItemKind, LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';

// The generated module brings grpc-js along, 10 MB in the buffer's thread; so the one small message that the buffer
// writes by itself is encoded here (https://protobuf.dev/programming-guides/encoding/), and a test compares the two.

export const BATCH: ItemKind.BATCH = 1;
export const DECLARATION: ItemKind.DECLARATION = 2;
/** Numbers of `LossReason`; the compiler checks them. */
export const EVICTED: LossReason.EVICTED = 1;
export const THINNED: LossReason.THINNED = 2;
export const CORRUPT: LossReason.CORRUPT = 3;
export const REJECTED: LossReason.REJECTED = 4;
export const CRASH_WINDOW: LossReason.CRASH_WINDOW = 5;

/** Entries of one declaration item: 256 of at most 51 bytes stay below any limit on an item's size. */
export const DECLARATION_ENTRIES_MAX = 256;
/** Beyond this many, entries that touch are merged. Below it they stay as they may have been sent before. */
const UNMERGED_ENTRIES_MAX = 64;
/** Tag and length, epoch, three 53-bit counts, bound, reason. */
const ENTRY_BYTES_MAX = 2 + 18 + 3 * 9 + 2 + 2;

/** An upper bound for the bodies of a declaration of this many entries. */
export function declarationBytesMax(entries: number): number {
  return entries * ENTRY_BYTES_MAX;
}

/** The body of a declaration item: a protobuf `LossDeclaration`. */
export function encodeDeclaration(entries: readonly LedgerEntry[]): Uint8Array {
  const bytes = new Uint8Array(declarationBytesMax(entries.length));
  let at = 0;
  for (const entry of entries) {
    bytes[at] = 0x0a;
    const lengthAt = at + 1;
    at += 2;
    bytes[at++] = 0x0a;
    bytes[at++] = entry.epoch.length;
    bytes.set(entry.epoch, at);
    at = putCount(bytes, at + entry.epoch.length, 0x10, entry.first);
    at = putCount(bytes, at, 0x18, entry.last);
    at = putCount(bytes, at, 0x20, entry.readings);
    at = putCount(bytes, at, 0x28, entry.bound ? 1 : 0);
    at = putCount(bytes, at, 0x30, entry.reason);
    // An entry is shorter than 128 bytes, so its length is one byte.
    bytes[lengthAt] = at - lengthAt - 1;
  }
  return bytes.subarray(0, at);
}

/** Writes a varint field unless it is zero; answers where the next one goes. */
export function putCount(bytes: Uint8Array, start: number, tag: number, count: number): number {
  // proto3 leaves zeros out.
  if (count === 0) return start;
  let at = start;
  bytes[at++] = tag;
  let rest = count;
  while (rest >= 0x80) {
    bytes[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  bytes[at++] = rest;
  return at;
}

/** The entries of a body that {@link encodeDeclaration} made. Its checksum was verified, so another shape is a bug. */
export function decodeDeclaration(body: Uint8Array): LedgerEntry[] {
  const { entries, end } = decodeEntries(body);
  if (end < body.length) throw new RangeError('a declaration has an unknown field');
  return entries;
}

/** The entries with which a body begins, and where they end. */
export function decodeEntries(body: Uint8Array): { entries: LedgerEntry[]; end: number } {
  const entries: LedgerEntry[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = body[at++];
      if (byte === undefined) throw new RangeError('a declaration ends within a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (body[at] === 0x0a) {
    at++;
    const length = varint();
    const end = at + length;
    const entry: LedgerEntry = { epoch: new Uint8Array(0), first: 0, last: 0, readings: 0, bound: false, reason: 0 };
    while (at < end) {
      const tag = body[at++];
      const value = varint();
      if (tag === 0x0a) {
        entry.epoch = Uint8Array.from(body.subarray(at, at + value));
        at += value;
      } else if (tag === 0x10) entry.first = value;
      else if (tag === 0x18) entry.last = value;
      else if (tag === 0x20) entry.readings = value;
      else if (tag === 0x28) entry.bound = value !== 0;
      else if (tag === 0x30) entry.reason = value as LossReason;
      else throw new RangeError('a ledger entry has an unknown field');
    }
    entries.push(entry);
  }
  return { entries, end: at };
}

/**
 * Merges entries that touch and say the same, when there are so many that they would grow without end in an outage of
 * many times the buffer's length. Nothing is lost by it: counts add up.
 */
export function mergeWhenMany(entries: readonly LedgerEntry[]): LedgerEntry[] {
  if (entries.length <= UNMERGED_ENTRIES_MAX) return [...entries];
  const sorted = [...entries].sort(
    (a, b) => Buffer.compare(a.epoch, b.epoch) || a.reason - b.reason || a.first - b.first,
  );
  const merged: LedgerEntry[] = [];
  for (const entry of sorted) {
    const previous = merged.at(-1);
    const touches =
      previous !== undefined &&
      previous.last + 1 === entry.first &&
      previous.reason === entry.reason &&
      previous.bound === entry.bound &&
      Buffer.compare(previous.epoch, entry.epoch) === 0;
    if (touches) {
      previous.last = entry.last;
      previous.readings += entry.readings;
    } else merged.push({ ...entry });
  }
  return merged;
}

/** Collects what is lost, sequence by sequence in order; neighbours become one entry. */
export class LossList {
  readonly entries: LedgerEntry[] = [];
  readonly #epoch: Uint8Array;
  readonly #reason: LossReason;
  #open: LedgerEntry | undefined;

  constructor(epoch: Uint8Array, reason: LossReason) {
    this.#epoch = epoch;
    this.#reason = reason;
  }

  add(sequence: number, readings: number): void {
    if (this.#open !== undefined && this.#open.last + 1 === sequence) {
      this.#open.last = sequence;
      this.#open.readings += readings;
      return;
    }
    this.#open = {
      epoch: this.#epoch,
      first: sequence,
      last: sequence,
      readings,
      bound: false,
      reason: this.#reason,
    };
    this.entries.push(this.#open);
  }
}
