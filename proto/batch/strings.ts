import type { Column } from './batch.js';
import { BatchError } from './batch-error.js';
import type { BitReader } from './bit-reader.js';
import type { BitWriter } from './bit-writer.js';
import { readStates, writeStates } from './state-columns.js';

/** Writes the dictionary of a string column, then its values as indices into it. */
export function writeStrings(writer: BitWriter, column: Column): void {
  const { strings, values, count } = column;
  writer.unsigned(strings.length);
  for (const text of strings) {
    const bytes = Buffer.from(text, 'utf8');
    writer.reserve(64 + bytes.length * 8);
    writer.unsigned(bytes.length);
    for (const byte of bytes) writer.bits(byte, 8);
  }
  for (let i = 0; i < count; i++) {
    const index = values[i]!;
    if (!(Number.isInteger(index) && index >= 0 && index < strings.length)) throw new BatchError('invalid', 'values');
  }
  writeStates(writer, values, count, indexWidth(strings.length));
}

/** What all the strings of a batch may take together; counted down while it is read. */
export interface StringBudget {
  bytes: number;
  strings: number;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a dictionary and the indices into it. Throws BatchError only. */
export function readStrings(reader: BitReader, out: Float64Array, count: number, budget: StringBudget): string[] {
  const length = reader.atMost(budget.strings, 'maxStrings');
  budget.strings -= length;
  const strings: string[] = [];
  for (let i = 0; i < length; i++) {
    const size = reader.atMost(budget.bytes, 'maxStringBytes');
    budget.bytes -= size;
    strings.push(readText(reader, size));
  }
  if (count > 0 && length === 0) throw new BatchError('malformed', 'strings');
  readStates(reader, out, count, indexWidth(length));
  for (let i = 0; i < count; i++) if (out[i]! >= length) throw new BatchError('malformed', 'strings');
  return strings;
}

function readText(reader: BitReader, size: number): string {
  // Asked before anything is allocated: a length alone must not cost memory.
  if (reader.position + size * 8 > reader.end) throw new BatchError('malformed', 'truncated');
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = reader.bits(8);
  try {
    return decoder.decode(bytes);
  } catch {
    throw new BatchError('malformed', 'strings');
  }
}

/** The bits of an index into a dictionary of this length. */
function indexWidth(length: number): number {
  return length < 2 ? 0 : 32 - Math.clz32(length - 1);
}
