import { crc32 } from 'node:zlib';
import type { ItemKind } from '../gen/tributary/v1/telemetry.js';

/** Bytes of an epoch: random, 128 bits. */
export const EPOCH_BYTES = 16;

/** Sequence numbers are JavaScript numbers: 2^53 - 1 of them last a device 285,000 years at a thousand a second. */
export const SEQUENCE_MAX = Number.MAX_SAFE_INTEGER;

/**
 * Whatever goes up: a batch of readings, a declaration of loss, a transition. The checksum binds the body to its epoch,
 * sequence, kind and counts, so nothing of it can change unnoticed between the device's encoder and the store.
 */
export interface Item {
  sequence: number;
  kind: ItemKind;
  /** CRC-32, see {@link itemChecksum}. */
  checksum: number;
  /** Readings in the body. */
  readings: number;
  /** Readings produced in the epoch before this item. */
  readingsBefore: number;
  body: Uint8Array;
}

const CHECKED_HEADER_BYTES = EPOCH_BYTES + 8 + 1 + 4 + 8;
const header = new Uint8Array(CHECKED_HEADER_BYTES);
const view = new DataView(header.buffer);

/**
 * The checksum of an item: CRC-32 (ISO-HDLC, as in gzip, RFC 1952) over, in this order, the epoch (16 bytes), sequence
 * (unsigned 64 bits, little endian), kind (8 bits), readings (32 bits, little endian), readingsBefore (64 bits, little
 * endian) and the body.
 */
export function itemChecksum(
  epoch: Uint8Array,
  sequence: number,
  kind: number,
  readings: number,
  readingsBefore: number,
  body: Uint8Array,
): number {
  header.set(epoch, 0);
  view.setUint32(16, sequence >>> 0, true);
  view.setUint32(20, Math.floor(sequence / 0x1_0000_0000), true);
  view.setUint8(24, kind);
  view.setUint32(25, readings, true);
  view.setUint32(29, readingsBefore >>> 0, true);
  view.setUint32(33, Math.floor(readingsBefore / 0x1_0000_0000), true);
  return crc32(body, crc32(header));
}
