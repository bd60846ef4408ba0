import { eventUs, unitsBeyondUs } from '@tributary/core/event-time/event-time-scale';
import type { Column, Group } from '@tributary/proto/batch/batch';
import type { QueryReadingsResponse, Series } from '@tributary/proto/gen/tributary/v1/query';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { instantText, offsetInUnits, type TimeScale } from './exact-time.js';

/** Readings of one message: some 100 kB, well below what a client takes by default (4 MiB). */
const PAGE_READINGS = 4096;

/**
 * Readings of one series that wait to be sent, because earlier ones may still come. Values are moved as bytes: a NaN keeps
 * its payload.
 */
export class PendingReadings {
  readonly #series: Series;
  #count = 0;
  #us = new Float64Array(1024);
  #nanos = new Float64Array(1024);
  #exponents = new Uint8Array(1024);
  #quality = new Uint8Array(1024);
  #words = new Uint32Array(2048);
  #strings: string[] = [];
  #sorted = true;

  constructor(series: Series) {
    this.#series = series;
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the readings of a column whose time lies in the half open range. */
  add(group: Group, column: Column, scale: TimeScale, quality: number, fromUs: number, untilUs: number): void {
    this.#reserve(column.count);
    const { presence, values } = column;
    const words = new Uint32Array(values.buffer, values.byteOffset, column.count * 2);
    const isText = column.type === 'string';
    let index = -1;
    for (let row = 0; row < group.rows; row += 1) {
      if (presence !== null && (presence[row >> 3]! & (1 << (row & 7))) === 0) continue;
      index += 1;
      const instant = group.times[row]!;
      const us = eventUs(scale, instant);
      if (us < fromUs || us >= untilUs) continue;
      const nanos = unitsBeyondUs(scale, instant) * scale.nanosPerUnit;
      const at = this.#count;
      if (this.#sorted && at > 0 && isBefore(us, nanos, this.#us[at - 1]!, this.#nanos[at - 1]!)) this.#sorted = false;
      this.#us[at] = us;
      this.#nanos[at] = nanos;
      this.#exponents[at] = scale.unitExponent;
      this.#quality[at] = quality;
      this.#words[at * 2] = words[index * 2]!;
      this.#words[at * 2 + 1] = words[index * 2 + 1]!;
      if (isText) this.#strings[at] = column.strings[values[index]!] ?? '';
      this.#count = at + 1;
    }
  }

  /** Takes out what is earlier than `beforeUs`, at most `limit` readings, in order of time, as messages. */
  *take(beforeUs: number, limit: number): Generator<QueryReadingsResponse> {
    if (!this.#sorted) this.#sort();
    let until = 0;
    while (until < this.#count && until < limit && this.#us[until]! < beforeUs) until += 1;
    let from = 0;
    while (from < until) {
      const end = this.#endOfPage(from, until);
      yield this.#page(from, end);
      from = end;
    }
    this.#drop(until);
  }

  /** A message has one unit of time, and offsets that are exact as doubles. */
  #endOfPage(from: number, until: number): number {
    const exponent = this.#exponents[from]!;
    let end = from + 1;
    const most = Math.min(until, from + PAGE_READINGS);
    while (end < most && this.#exponents[end] === exponent && Number.isSafeInteger(this.#offset(exponent, end, from)))
      end += 1;
    return end;
  }

  #offset(exponent: number, index: number, from: number): number {
    return offsetInUnits(exponent, this.#us[index]!, this.#nanos[index]!, this.#us[from]!, this.#nanos[from]!);
  }

  #page(from: number, end: number): QueryReadingsResponse {
    const exponent = this.#exponents[from]!;
    const offsets: number[] = [];
    for (let index = from; index < end; index += 1) offsets.push(this.#offset(exponent, index, from));
    const isText = this.#series.type === ValueType.STRING;
    const quality = this.#quality.slice(from, end);
    return {
      series: this.#series,
      unitExponent: exponent,
      baseTime: instantText(exponent, this.#us[from]!, this.#nanos[from]!),
      offsets,
      values: isText ? new Uint8Array(0) : littleEndian(this.#words.subarray(from * 2, end * 2)),
      strings: isText ? this.#strings.slice(from, end) : [],
      quality: quality.every((one) => one === quality[0]) ? quality.slice(0, 1) : quality,
    };
  }

  #drop(count: number): void {
    if (count === 0) return;
    this.#us.copyWithin(0, count, this.#count);
    this.#nanos.copyWithin(0, count, this.#count);
    this.#exponents.copyWithin(0, count, this.#count);
    this.#quality.copyWithin(0, count, this.#count);
    this.#words.copyWithin(0, count * 2, this.#count * 2);
    if (this.#strings.length > 0) this.#strings.splice(0, count);
    this.#count -= count;
    this.#sorted = true;
  }

  /** Stable, so readings of one instant stay in the order in which they came. */
  #sort(): void {
    const us = this.#us;
    const nanos = this.#nanos;
    const order = Uint32Array.from({ length: this.#count }, (_, index) => index);
    order.sort((a, b) => us[a]! - us[b]! || nanos[a]! - nanos[b]! || a - b);
    this.#us = permuted(us, order);
    this.#nanos = permuted(nanos, order);
    this.#exponents = permuted(this.#exponents, order);
    this.#quality = permuted(this.#quality, order);
    const words = new Uint32Array(this.#words.length);
    for (const [to, from] of order.entries()) {
      words[to * 2] = this.#words[from * 2]!;
      words[to * 2 + 1] = this.#words[from * 2 + 1]!;
    }
    this.#words = words;
    if (this.#strings.length > 0) this.#strings = Array.from(order, (from) => this.#strings[from] ?? '');
    this.#sorted = true;
  }

  #reserve(more: number): void {
    const needed = this.#count + more;
    if (needed <= this.#us.length) return;
    const room = 2 ** Math.ceil(Math.log2(needed));
    this.#us = grown(this.#us, new Float64Array(room));
    this.#nanos = grown(this.#nanos, new Float64Array(room));
    this.#exponents = grown(this.#exponents, new Uint8Array(room));
    this.#quality = grown(this.#quality, new Uint8Array(room));
    this.#words = grown(this.#words, new Uint32Array(room * 2));
  }
}

function isBefore(us: number, nanos: number, otherUs: number, otherNanos: number): boolean {
  return us < otherUs || (us === otherUs && nanos < otherNanos);
}

function grown<A extends Float64Array | Uint32Array | Uint8Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

function permuted<A extends Float64Array | Uint8Array>(from: A, order: Uint32Array): A {
  const to = from.slice() as A;
  for (let index = 0; index < order.length; index += 1) to[index] = from[order[index]!]!;
  return to;
}

/** The bytes of doubles given as the machine's 32-bit words, little endian whatever the machine is. */
function littleEndian(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const isLittle = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
  if (isLittle) {
    bytes.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
    return bytes;
  }
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < words.length; at += 2) {
    view.setUint32(at * 4, words[at + 1]!, true);
    view.setUint32(at * 4 + 4, words[at]!, true);
  }
  return bytes;
}
