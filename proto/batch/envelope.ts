import { BatchError } from './batch-error.js';
import {
  BASE_ZEROS_MAX,
  BatchField,
  FIRST_LATER_BODY,
  LAST_LATER_BODY,
  UNIT_EXPONENT_BITS,
  UNIT_EXPONENT_MAX,
} from './batch-layout.js';

/** The protobuf fields around the body, and where it lies. Reused: one lives in the decoder. */
export interface Envelope {
  segment: number;
  unitExponent: number;
  baseTime: bigint;
  bodyStart: number;
  bodyEnd: number;
}

/** The varint that was read last: its low and high 32 bits, and where it ended. */
let low = 0;
let high = 0;
let next = 0;

function readVarint(bytes: Uint8Array, offset: number): void {
  low = 0;
  high = 0;
  let at = offset;
  for (let shift = 0; shift < 70; shift += 7) {
    if (at >= bytes.length) throw new BatchError('malformed', 'truncated');
    const byte = bytes[at++]!;
    const part = byte & 0x7f;
    if (shift < 28) {
      low |= part << shift;
    } else if (shift === 28) {
      low |= part << 28;
      high = part >>> 4;
    } else {
      high |= part << (shift - 32);
    }
    if (byte < 0x80) {
      low >>>= 0;
      high >>>= 0;
      next = at;
      return;
    }
  }
  throw new BatchError('malformed', 'varint');
}

/**
 * Parses the fields of tributary.v1.Batch. Unknown fields are skipped, the last one of a kind counts, as protobuf
 * demands. Throws BatchError.
 */
export function parseEnvelope(bytes: Uint8Array, out: Envelope): void {
  let unit = 0;
  let base = 0n;
  let laterBody = false;
  out.segment = 0;
  out.bodyStart = -1;
  let at = 0;
  while (at < bytes.length) {
    readVarint(bytes, at);
    if (high !== 0) throw new BatchError('malformed', 'tag');
    const field = low >>> 3;
    const wireType = low & 7;
    if (field === 0) throw new BatchError('malformed', 'tag');
    at = next;
    if (wireType === 0) {
      readVarint(bytes, at);
      at = next;
      if (field === BatchField.segment) out.segment = low;
      else if (field === BatchField.timeUnit) unit = low;
      else if (field === BatchField.baseTime) base = zigzag();
    } else if (wireType === 2) {
      readVarint(bytes, at);
      const end = next + low;
      if (high !== 0 || end > bytes.length) throw new BatchError('malformed', 'truncated');
      if (field === BatchField.columnar) {
        out.bodyStart = next;
        out.bodyEnd = end;
      } else if (field >= FIRST_LATER_BODY && field <= LAST_LATER_BODY) {
        laterBody = true;
      }
      at = end;
    } else if (wireType === 1 || wireType === 5) {
      at += wireType === 1 ? 8 : 4;
      if (at > bytes.length) throw new BatchError('malformed', 'truncated');
    } else {
      throw new BatchError('malformed', 'wire type');
    }
  }
  if (laterBody) throw new BatchError('unknown-encoding', 'body');
  if (out.bodyStart < 0) throw new BatchError('malformed', 'body');
  out.unitExponent = unit & ((1 << UNIT_EXPONENT_BITS) - 1);
  const zeros = unit >>> UNIT_EXPONENT_BITS;
  if (out.unitExponent > UNIT_EXPONENT_MAX || zeros > BASE_ZEROS_MAX) throw new BatchError('malformed', 'time unit');
  out.baseTime = zeros === 0 ? base : base * BigInt(10 ** zeros);
  if (zeros > 0 && BigInt.asIntN(64, out.baseTime) !== out.baseTime) throw new BatchError('malformed', 'base time');
}

/** The signed value of the varint that was read last. */
function zigzag(): bigint {
  if (high < 0x20_0000) {
    const code = high * 4294967296 + low;
    return BigInt(code % 2 === 0 ? code / 2 : -(code + 1) / 2);
  }
  const code = (BigInt(high) << 32n) | BigInt(low);
  return (code >> 1n) ^ -(code & 1n);
}
