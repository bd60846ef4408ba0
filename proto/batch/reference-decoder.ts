/**
 * FORMAT.md, read literally: one bit at a time, one value at a time, whole numbers as bigints where they are large. It is
 * slow and trusts its input. The vectors are decoded by it too, so that they prove the document and not only the codec,
 * and it notes every mode that it meets, so that the vectors prove to cover them all.
 */
export interface ReferenceColumn {
  seriesId: number;
  type: string;
  rows: number[];
  /** Bit patterns of doubles, or 0 and 1, or indices. */
  values: bigint[];
  strings: string[];
}

export interface ReferenceBatch {
  segment: number;
  unitExponent: number;
  baseTime: bigint;
  groups: { times: bigint[]; columns: ReferenceColumn[] }[];
}

type Seen = Set<string>;

class Bits {
  position = 0;
  readonly #bytes: Uint8Array;
  readonly seen: Seen;

  constructor(bytes: Uint8Array, seen: Seen) {
    this.#bytes = bytes;
    this.seen = seen;
  }

  bit(): number {
    const byte = this.#bytes[this.position >> 3];
    if (byte === undefined) throw new Error('beyond the end');
    return (byte >> (this.position++ & 7)) & 1;
  }

  take(length: number): bigint {
    let value = 0n;
    for (let i = 0; i < length; i++) value |= BigInt(this.bit()) << BigInt(i);
    return value;
  }

  small(length: number): number {
    return Number(this.take(length));
  }

  unsigned(): number {
    const length = this.small(6);
    return length === 0 ? 0 : Number((1n << BigInt(length - 1)) | this.take(length - 1));
  }

  signed(): number {
    const magnitude = this.unsigned();
    return magnitude !== 0 && this.bit() === 1 ? -magnitude : magnitude;
  }

  /** The running mean's parameter and one adaptive Rice code; null is an escape. */
  rice(state: { mean: number }): number | null {
    const k = Math.max(0, Math.floor(Math.log2(Math.max(1, Math.floor(state.mean / 8)))));
    let quotient = 0;
    while (quotient < 20 && this.bit() === 0) quotient++;
    if (quotient === 20) {
      this.seen.add('escape');
      state.mean += Math.min(20 * 2 ** k, 2 ** 27) - Math.floor(state.mean / 8);
      return null;
    }
    const code = quotient * 2 ** k + this.small(k);
    state.mean += code - Math.floor(state.mean / 8);
    return code;
  }
}

function unzigzag(code: number): number {
  return code % 2 === 0 ? code / 2 : -(code + 1) / 2;
}

function integers(bits: Bits, count: number): number[] {
  if (count === 0) return [];
  const first = bits.signed();
  if (count === 1) return [first];
  const predictor = bits.small(3);
  const scale = bits.small(6);
  const slope = predictor === 5 ? bits.signed() : 0;
  bits.seen.add(`predictor ${predictor}`);
  bits.seen.add(scale === 63 ? 'scale 63' : scale > 20 ? 'scale wide' : 'scale rice');
  const lowBits = scale > 20 && scale !== 63 ? scale - 8 : 0;
  const state = { mean: 12 * 2 ** (scale > 20 ? 8 : scale) };
  const residual = (): number => {
    if (scale === 63) return 0;
    const code = bits.rice(state);
    if (code === null) return bits.signed();
    return unzigzag(code * 2 ** lowBits + bits.small(lowBits));
  };
  const out: number[] = [];
  if (predictor === 0) {
    for (let i = 0; i < count; i++) out.push(first + residual());
    return out;
  }
  out.push(first);
  let difference = 0;
  for (let i = 1; i < count; i++) {
    const expected = [0, 0, difference, Math.floor(difference / 2), Math.floor(-difference / 2), slope][predictor]!;
    difference = expected + residual();
    out.push(out[i - 1]! + difference);
  }
  return out;
}

function counts(bits: Bits, length: number): number[] {
  if (length === 0) return [];
  const state = { mean: 12 * 2 ** bits.small(5) };
  return Array.from({ length }, () => bits.rice(state) ?? bits.unsigned());
}

/** Run lengths of a column of `count` values, or null when it is not stored as runs. */
function runs(bits: Bits, count: number): number[] | null {
  if (bits.bit() === 0) return null;
  const heads = bits.unsigned();
  const lengths = counts(bits, heads - 1).map((extra) => extra + 1);
  return [...lengths, count - lengths.reduce((sum, one) => sum + one, 0)];
}

function expand<T>(heads: T[], lengths: number[] | null): T[] {
  return lengths === null ? heads : heads.flatMap((head, i) => Array<T>(lengths[i]!).fill(head));
}

function pattern(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0]!;
}

function roundTo(value: number, digits: number): number {
  if (digits === 0) return value;
  const power = 10 ** decimalsFor(value, digits);
  return Math.round(value * power) / power;
}

function decimalsFor(value: number, digits: number): number {
  const size = Math.abs(value);
  if (size >= 1) {
    let whole = 1;
    while (10 ** whole <= size) whole++;
    return Math.max(0, digits - whole);
  }
  let zeros = 0;
  for (let scaled = size * 10; scaled < 1 && digits + zeros < 22; scaled *= 10) zeros++;
  return digits + zeros;
}

/** Positions of exceptions, and for each its correction or raw bits. */
function exceptions(bits: Bits): Map<number, { correction: number } | { raw: bigint }> {
  const found = new Map<number, { correction: number } | { raw: bigint }>();
  const gaps = counts(bits, bits.unsigned());
  if (gaps.length === 0) return found;
  const width = bits.small(4);
  let position = -1;
  for (const gap of gaps) {
    position += gap + 1;
    const code = bits.small(width);
    bits.seen.add(code === 0 ? 'exception raw' : 'exception corrected');
    found.set(position, code === 0 ? { raw: bits.take(64) } : { correction: unzigzag(code) });
  }
  return found;
}

function withUlps(bits: Bits, values: bigint[]): bigint[] {
  for (const [position, exception] of exceptions(bits)) {
    values[position] =
      'raw' in exception ? exception.raw : BigInt.asUintN(64, values[position]! + BigInt(exception.correction));
  }
  return values;
}

function fraction(bits: Bits, count: number, lengths: number[] | null): bigint[] {
  const divisor = bits.unsigned();
  const refinement = bits.unsigned();
  const digits = bits.small(5);
  bits.seen.add(`fraction refinement ${Math.min(refinement, 2)}`);
  const whole = expand(integers(bits, count), lengths);
  const found = exceptions(bits);
  return whole.map((integer, i) => {
    const exception = found.get(i);
    if (exception === undefined) return pattern(roundTo(integer / divisor, digits));
    if ('raw' in exception) return exception.raw;
    const { correction } = exception;
    if (refinement > 0) return pattern(roundTo((integer * refinement + correction) / (divisor * refinement), digits));
    const rounded = roundTo(integer / divisor, digits);
    const power = 10 ** decimalsFor(rounded, digits);
    return pattern((Math.round(rounded * power) + correction) / power);
  });
}

function significant(order: number, digits: number, exponent: number): number {
  let scaled = Math.abs(order);
  let decimals = exponent;
  while (scaled >= 10 ** digits && decimals > 0) {
    scaled -= 9 * 10 ** (digits - 1);
    decimals--;
  }
  const value = scaled / 10 ** decimals;
  return order < 0 ? -value : value;
}

function doublesOf(bits: Bits, count: number): bigint[] {
  if (count === 0) return [];
  const form = bits.small(3);
  const lengths = runs(bits, count);
  const heads = lengths?.length ?? count;
  bits.seen.add(`form ${form}${lengths === null ? '' : ' runs'}`);
  if (form === 2) return fraction(bits, heads, lengths);
  if (form === 4)
    return expand(
      Array.from({ length: heads }, () => bits.take(64)),
      lengths,
    );
  if (form === 3) {
    const lowBits = bits.small(6);
    const high = integers(bits, heads).map((order) =>
      BigInt.asUintN(32, BigInt(order < 0 ? order ^ 0x7fff_ffff : order)),
    );
    const low = high.map(() => bits.take(lowBits) << BigInt(32 - lowBits));
    return expand(
      high.map((word, i) => (word << 32n) | low[i]!),
      lengths,
    );
  }
  const exponent = bits.small(5);
  const digits = form === 5 ? bits.small(5) : 0;
  const offset = form === 6 ? bits.signed() : 0;
  const step = form === 6 ? bits.unsigned() : 1;
  const values = integers(bits, heads).map((integer) =>
    pattern(form === 5 ? significant(integer, digits, exponent) : (offset + step * integer) / 10 ** exponent),
  );
  const all = expand(values, lengths);
  return form === 1 || form === 5 ? withUlps(bits, all) : all;
}

function states(bits: Bits, count: number, width: number): number[] {
  if (count === 0 || width === 0) return Array<number>(count).fill(0);
  const asRuns = bits.bit() === 1;
  bits.seen.add(`states ${width === 1 ? 'of one bit' : 'of more bits'}${asRuns ? ' runs' : ''}`);
  if (!asRuns) return Array.from({ length: count }, () => bits.small(width));
  const length = bits.unsigned();
  const heads: number[] = [];
  for (let i = 0; i < length; i++) heads.push(i === 0 || width > 1 ? bits.small(width) : 1 - heads[i - 1]!);
  const extra = counts(bits, length - 1).map((one) => one + 1);
  return expand(heads, [...extra, count - extra.reduce((sum, one) => sum + one, 0)]);
}

function timesOf(bits: Bits, rows: number): bigint[] {
  if (rows === 0) return [];
  const form = bits.small(2);
  bits.seen.add(`times ${form}`);
  if (form === 2) return Array.from({ length: rows }, () => BigInt(bits.signed()));
  const power = 10n ** bits.take(4);
  if (form === 0) return integers(bits, rows).map((time) => BigInt(time) * power);
  const out = [bits.signed()];
  const length = bits.unsigned();
  const extra = counts(bits, length - 1).map((one) => one + 1);
  const lengths = [...extra, rows - 1 - extra.reduce((sum, one) => sum + one, 0)];
  for (const difference of expand(integers(bits, length), lengths)) out.push(out[out.length - 1]! + difference);
  return out.map((time) => BigInt(time) * power);
}

function columnOf(bits: Bits, seriesId: number, rows: number[]): ReferenceColumn {
  const type = ['double', 'boolean', 'string'][bits.small(2)]!;
  bits.seen.add(type);
  const column = { seriesId, type, rows, strings: [] as string[] };
  if (type === 'double') return { ...column, values: doublesOf(bits, rows.length) };
  if (type === 'boolean') return { ...column, values: states(bits, rows.length, 1).map(BigInt) };
  const length = bits.unsigned();
  for (let i = 0; i < length; i++) {
    const bytes = Uint8Array.from({ length: bits.unsigned() }, () => bits.small(8));
    column.strings.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
  }
  let width = 0;
  while (2 ** width < length) width++;
  return { ...column, values: states(bits, rows.length, width).map(BigInt) };
}

/** Decodes the body of a batch. */
function bodyOf(bits: Bits): ReferenceBatch['groups'] {
  const groups: ReferenceBatch['groups'] = [];
  let previousId = 0;
  for (let left = bits.unsigned(); left > 0; left--) {
    const rows = bits.unsigned();
    const length = bits.unsigned();
    const times = timesOf(bits, rows);
    const columns: ReferenceColumn[] = [];
    let lastPresence: number[] = [];
    for (let i = 0; i < length; i++) {
      previousId = bits.bit() === 1 ? previousId + 1 : bits.unsigned();
      let present = times.map((_, row) => row);
      if (bits.bit() === 1) {
        const asBefore = bits.bit() === 1;
        bits.seen.add(asBefore ? 'presence as before' : 'presence bitmap');
        if (!asBefore) lastPresence = states(bits, rows, 1).flatMap((bit, row) => (bit === 1 ? [row] : []));
        present = lastPresence;
      }
      columns.push(columnOf(bits, previousId, present));
    }
    groups.push({ times, columns });
  }
  return groups;
}

/** Decodes a batch, and adds the modes that it uses to `seen`. */
export function decodeByTheBook(bytes: Uint8Array, seen: Seen): ReferenceBatch {
  const batch: ReferenceBatch = { segment: 0, unitExponent: 0, baseTime: 0n, groups: [] };
  let zeros = 0n;
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const value = varint();
    if (tag === 0x08n) batch.segment = Number(value);
    if (tag === 0x10n) {
      batch.unitExponent = Number(value & 15n);
      zeros = value >> 4n;
    }
    if (tag === 0x18n) batch.baseTime = (value >> 1n) ^ -(value & 1n);
    if (tag === 0x22n) {
      batch.groups = bodyOf(new Bits(bytes.subarray(at, at + Number(value)), seen));
      at += Number(value);
    }
  }
  batch.baseTime *= 10n ** zeros;
  return batch;
}
