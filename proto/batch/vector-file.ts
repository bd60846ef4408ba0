import type { Batch, Column } from './batch.js';
import type { VectorCase } from './vector-cases.js';

/** A golden vector as it lies in `proto/vectors/`. FORMAT.md says what its fields mean. */
export interface VectorFile {
  name: string;
  shows: string;
  batch: {
    segment: number;
    unitExponent: number;
    baseTime: string;
    groups: { times: number[]; columns: VectorColumn[] }[];
  };
  bytes: string;
  readings: [seriesId: number, time: string, value: string | boolean][];
}

interface VectorColumn {
  seriesId: number;
  type: string;
  /** One character a row, 1 or 0, or null when every row has a value. */
  presence: string | null;
  /** Doubles as 16 hex digits, booleans as 0 or 1, strings as indices. */
  values: (string | number)[];
  /** The same doubles for people. */
  readable?: string;
  strings?: readonly string[];
}

/** The bit pattern of a value as 16 hex digits, the sign first. */
function bitsOf(values: Float64Array, index: number): string {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  const hex = (word: number) => word.toString(16).padStart(8, '0');
  return hex(words[index * 2 + 1]!) + hex(words[index * 2]!);
}

function columnOf(column: Column, rows: number): VectorColumn {
  const { seriesId, type, presence, count, values, strings } = column;
  const bits =
    presence === null ? null : Array.from({ length: rows }, (_, row) => (presence[row >>> 3]! >>> (row & 7)) & 1);
  const head = { seriesId, type, presence: bits === null ? null : bits.join('') };
  const numbers = [...values.subarray(0, count)];
  if (type === 'double') {
    const readable = numbers.map((value) => (Object.is(value, -0) ? '-0' : String(value))).join(' ');
    return { ...head, values: numbers.map((_, i) => bitsOf(values, i)), readable };
  }
  return type === 'string' ? { ...head, values: numbers, strings } : { ...head, values: numbers };
}

/** The readings of a batch: group by group, column by column, in the order of the rows. */
export function readingsOf(batch: Batch): VectorFile['readings'] {
  const readings: VectorFile['readings'] = [];
  for (const { rows, times, columns } of batch.groups) {
    for (const { seriesId, type, presence, values, strings } of columns) {
      let next = 0;
      for (let row = 0; row < rows; row++) {
        if (presence !== null && ((presence[row >>> 3]! >>> (row & 7)) & 1) === 0) continue;
        const time = (batch.baseTime + BigInt(times[row]!)).toString();
        const index = next++;
        const value = values[index]!;
        readings.push([
          seriesId,
          time,
          type === 'double' ? bitsOf(values, index) : type === 'boolean' ? value === 1 : strings[value]!,
        ]);
      }
    }
  }
  return readings;
}

/** What the file of a case says. */
export function vectorFileOf({ name, shows, batch }: VectorCase, bytes: Uint8Array): VectorFile {
  return {
    name,
    shows,
    batch: {
      segment: batch.segment,
      unitExponent: batch.unitExponent,
      baseTime: batch.baseTime.toString(),
      groups: batch.groups.map(({ rows, times, columns }) => ({
        times: [...times],
        columns: columns.map((column) => columnOf(column, rows)),
      })),
    },
    bytes: Buffer.from(bytes).toString('hex'),
    readings: readingsOf(batch),
  };
}

/** The batch that a file describes. */
export function batchOfVector({ batch, readings }: VectorFile): Batch {
  const groups = batch.groups.map(({ times, columns }) => ({
    rows: times.length,
    times: Float64Array.from(times),
    columns: columns.map(({ seriesId, type, presence, values, strings }): Column => {
      const numbers = new Float64Array(values.length);
      const words = new Uint32Array(numbers.buffer);
      values.forEach((value, i) => {
        if (typeof value === 'number') {
          numbers[i] = value;
          return;
        }
        words[i * 2 + 1] = Number.parseInt(value.slice(0, 8), 16);
        words[i * 2] = Number.parseInt(value.slice(8), 16);
      });
      return {
        seriesId,
        type: type as Column['type'],
        presence: presence === null ? null : bitmapOf(presence),
        count: values.length,
        values: numbers,
        strings: strings ?? [],
      };
    }),
  }));
  const { segment, unitExponent, baseTime } = batch;
  return { segment, unitExponent, baseTime: BigInt(baseTime), groups, readings: readings.length };
}

function bitmapOf(presence: string): Uint8Array {
  const bitmap = new Uint8Array((presence.length + 7) >>> 3);
  for (let row = 0; row < presence.length; row++) if (presence[row] === '1') bitmap[row >>> 3]! |= 1 << (row & 7);
  return bitmap;
}
