import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import type { BufferState } from './item-table.js';
import type { Reserve } from './mark-reserve.js';

/** What a mark that cannot be read may have reserved, in sequences and, at the least, in readings. */
const UNKNOWN_SEQUENCES = 4_096;
const UNKNOWN_READINGS_MIN = 4_096;

/** What is known of the buffer beside its database, in case the database's tail is lost. */
export interface HighWaterMark {
  epoch: Uint8Array;
  /** So far the database had come when the mark was written. */
  highestSequence: number;
  readingsProduced: number;
  /** No further has it come until the next mark. */
  reservedSequence: number;
  reservedReadings: number;
  /** Ids of the catalogue that are taken: they are never used again, whatever is lost. */
  series: number;
  segments: number;
  /** The version of the tables. */
  schemaVersion: number;
  /** While an agent has the buffer open; the two above are exact when it has not. */
  isOpen: boolean;
  /** The log is at least so long while it is open; 0 where that is not known. */
  logBytes: number;
  /** Where its count of restarts stood. */
  logSalt: number;
}

export function markPath(path: string): string {
  return `${path}-mark`;
}

/** The mark; undefined when there is none, or none that can be believed. It never stops anybody. */
export function readMark(path: string): HighWaterMark | undefined {
  let text: string;
  try {
    text = readFileSync(markPath(path), 'latin1');
  } catch {
    return undefined;
  }
  const [line, checksum] = text.split('\n');
  if (checksum === undefined || crc32(line).toString(16).padStart(8, '0') !== checksum) return undefined;
  const { epoch, ...rest } = JSON.parse(line) as Omit<HighWaterMark, 'epoch'> & { epoch: string };
  const bytes = Uint8Array.from(Buffer.from(epoch, 'hex'));
  return bytes.length === EPOCH_BYTES ? { epoch: bytes, ...rest } : undefined;
}

/** Replaces the mark as a whole. Throws what the file system throws. */
export function writeMark(path: string, mark: HighWaterMark): void {
  const line = JSON.stringify({ ...mark, epoch: Buffer.from(mark.epoch).toString('hex') });
  const target = markPath(path);
  const file = openSync(`${target}-new`, 'w', 0o600);
  try {
    writeSync(file, `${line}\n${crc32(line).toString(16).padStart(8, '0')}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${target}-new`, target);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * How far the buffer may come before a new mark must be written: `reserve` beyond what it needs now. Without one, how far it
 * can have come where there is no mark to ask.
 */
export function reservedAbove(
  state: Readonly<BufferState>,
  need: Reserve = { sequences: 0, readings: 0 },
  reserve: Reserve = unknownReserve(state),
): { reservedSequence: number; reservedReadings: number } {
  const { highestSequence } = state;
  return {
    reservedSequence: Math.max(highestSequence, state.reservedSequence) + reserve.sequences + need.sequences,
    reservedReadings: readingsTaken(state) + reserve.readings + need.readings,
  };
}

/** At the most: those that are in memory alone are lost with the counters that tell of them. */
export function readingsTaken({ readingsProduced, reservedReadings, crashBound }: Readonly<BufferState>): number {
  return readingsProduced + reservedReadings + crashBound;
}

/** Twice the readings that the same number of items had on average. */
function unknownReserve({ highestSequence, readingsProduced }: Readonly<BufferState>): Reserve {
  const perSequence = highestSequence === 0 ? 1 : readingsProduced / highestSequence;
  return {
    sequences: UNKNOWN_SEQUENCES,
    readings: Math.max(UNKNOWN_READINGS_MIN, Math.ceil(UNKNOWN_SEQUENCES * perSequence * 2)),
  };
}
