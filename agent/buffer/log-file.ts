import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { PAGE_BYTES } from './row-size.js';

// SQLite's file format, section 4: the write-ahead log. It is read here, beside SQLite, because SQLite takes the first frame
// that fails its checksum for the log's end and drops all commits behind it without a word.

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
export const FRAME_BYTES = FRAME_HEADER_BYTES + PAGE_BYTES;
/** Ordinary logs end at 256 pages; one large transaction may add some mebibytes. Memory is bounded whatever lies there. */
const LOG_BYTES_MAX = 64 << 20;
const MAGIC = 0x377f0682;
/** A frame whose salts are so few bits away from the log's is one of this log with a flipped bit, not an older one. */
const SALT_BITS_MAX = 2;

/** A page's image in the log. */
export interface LogFrame {
  page: number;
  /** The last frame of a transaction. */
  isCommit: boolean;
  image: Buffer;
}

/** The log as its bytes tell. */
export interface LogFile {
  bytes: number;
  /** The log's first salt counts its restarts; undefined where no header can be believed. */
  salt: number | undefined;
  /** The frames that belong together, up to the last commit among them. */
  frames: LogFrame[];
  /** So many of them SQLite will take: up to the last commit before the first frame whose checksum is wrong. */
  framesValid: number;
}

/** Reads a log. Undefined where there is none; throws what the file system throws. */
export function readLog(path: string): LogFile | undefined {
  const bytes = readWhole(path);
  if (bytes === undefined) return undefined;
  const log: LogFile = { bytes: bytes.length, salt: undefined, frames: [], framesValid: 0 };
  const count = Math.floor((bytes.length - HEADER_BYTES) / FRAME_BYTES);
  if (count < 0) return log;
  const sums = { a: 0, b: 0 };
  const littleEndian = (bytes.readUInt32BE(0) & 1) === 0;
  addChecksum(sums, bytes, 0, 24, littleEndian);
  const isHeaderValid =
    (bytes.readUInt32BE(0) & 0xfffffffe) >>> 0 === MAGIC &&
    sums.a === bytes.readUInt32BE(24) &&
    sums.b === bytes.readUInt32BE(28) &&
    bytes.readUInt32BE(8) === PAGE_BYTES;
  const salts = isHeaderValid ? saltsAt(bytes, 16) : saltsOfFrames(bytes, count);
  if (salts === undefined) return log;
  log.salt = salts[0];
  let isValid = isHeaderValid;
  let commits = 0;
  for (let at = 0; at < count; at++) {
    const start = HEADER_BYTES + at * FRAME_BYTES;
    // A frame of an earlier round of the log, or what is left of a destroyed one, ends what SQLite reads; not what is read here.
    if (bitsBetween(saltsAt(bytes, start + 8), salts) > SALT_BITS_MAX) {
      isValid = false;
      continue;
    }
    if (isValid) {
      addChecksum(sums, bytes, start, 8, littleEndian);
      addChecksum(sums, bytes, start + FRAME_HEADER_BYTES, PAGE_BYTES, littleEndian);
      const isExact = bitsBetween(saltsAt(bytes, start + 8), salts) === 0;
      isValid = isExact && sums.a === bytes.readUInt32BE(start + 16) && sums.b === bytes.readUInt32BE(start + 20);
    }
    const isCommit = bytes.readUInt32BE(start + 4) !== 0;
    const image = bytes.subarray(start + FRAME_HEADER_BYTES, start + FRAME_BYTES);
    log.frames.push({ page: bytes.readUInt32BE(start), isCommit, image });
    if (!isCommit) continue;
    commits = log.frames.length;
    if (isValid) log.framesValid = commits;
  }
  // What follows the last commit was never told to anybody as written.
  log.frames.length = commits;
  return log;
}

/** A frame of the log that follows a broken one, commit and all, is lost to SQLite. */
export function isBroken(log: LogFile | undefined): boolean {
  return log !== undefined && log.framesValid < log.frames.length;
}

function readWhole(path: string): Buffer | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(Math.min(fstatSync(file).size, LOG_BYTES_MAX));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}

function saltsAt(bytes: Buffer, at: number): [number, number] {
  return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
}

/** Where the header is damaged, the first two frames know the salts. */
function saltsOfFrames(bytes: Buffer, count: number): [number, number] | undefined {
  if (count < 2) return undefined;
  const first = saltsAt(bytes, HEADER_BYTES + 8);
  const second = saltsAt(bytes, HEADER_BYTES + FRAME_BYTES + 8);
  const isSame = first[0] === second[0] && first[1] === second[1] && (first[0] !== 0 || first[1] !== 0);
  return isSame ? first : undefined;
}

function bitsBetween(a: readonly [number, number], b: readonly [number, number]): number {
  return bitsOf(a[0] ^ b[0]) + bitsOf(a[1] ^ b[1]);
}

function bitsOf(word: number): number {
  let count = 0;
  for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}

/** The log's running checksum over pairs of 32-bit words. */
function addChecksum(sums: { a: number; b: number }, bytes: Buffer, start: number, length: number, le: boolean): void {
  for (let at = start; at < start + length; at += 8) {
    sums.a = (sums.a + (le ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)) + sums.b) >>> 0;
    sums.b = (sums.b + (le ? bytes.readUInt32LE(at + 4) : bytes.readUInt32BE(at + 4)) + sums.a) >>> 0;
  }
}
