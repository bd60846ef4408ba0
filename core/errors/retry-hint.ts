import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Metadata } from '@grpc/grpc-js';

/** What a server says about trying again: nothing, wait at least so long, or do not. */
export type RetryHint = { kind: 'none' } | { kind: 'after'; delayMs: number } | { kind: 'never' };

/** A day: no honest server sends a client away for longer, and a corrupt hint must not silence a device. */
const delayMsMax = 86_400_000;

/** A `google.rpc.Status` is some hundred bytes; gRPC's own header limit is 8 KiB. More is not read. */
const statusBytesMax = 8192;

/** The details are few by nature; a longer list is an attempt to waste time. */
const detailsMax = 16;

const retryInfoType = 'google.rpc.RetryInfo';

/**
 * The server's hint in the trailers of a failed call: `grpc-retry-pushback-ms` (gRFC A6: a negative or unreadable value
 * means do not retry), else `google.rpc.RetryInfo` inside `grpc-status-details-bin`.
 */
export function retryHint(metadata: Metadata): RetryHint {
  const pushback = metadata.get('grpc-retry-pushback-ms');
  if (pushback.length > 0) {
    const text = String(pushback[0]);
    if (!/^\d{1,15}$/.test(text)) return { kind: 'never' };
    return { kind: 'after', delayMs: Math.min(Number(text), delayMsMax) };
  }
  const [details] = metadata.get('grpc-status-details-bin');
  if (details === undefined || typeof details === 'string') return { kind: 'none' };
  const delayMs = retryInfoDelayMs(details);
  return delayMs === undefined ? { kind: 'none' } : { kind: 'after', delayMs };
}

/**
 * The delay of the first `google.rpc.RetryInfo` in an encoded `google.rpc.Status`, in milliseconds rounded up and at
 * most a day; undefined when there is none or the bytes are damaged.
 */
export function retryInfoDelayMs(status: Uint8Array): number | undefined {
  if (status.length > statusBytesMax) return undefined;
  try {
    let seen = 0;
    // google.rpc.Status: details = 3, each a google.protobuf.Any: type_url = 1, value = 2.
    for (const any of lengthDelimited(status, 3)) {
      seen += 1;
      if (seen > detailsMax) return undefined;
      const [typeUrl] = lengthDelimited(any, 1);
      if (typeUrl === undefined || !isRetryInfo(typeUrl)) continue;
      const [retryInfo] = lengthDelimited(any, 2);
      // google.rpc.RetryInfo: retry_delay = 1, a google.protobuf.Duration.
      const [duration] = retryInfo === undefined ? [] : lengthDelimited(retryInfo, 1);
      return duration === undefined ? undefined : durationMs(duration);
    }
  } catch {
    // The reader throws on truncated or malformed bytes. A damaged hint is no hint.
  }
  return undefined;
}

function isRetryInfo(typeUrl: Uint8Array): boolean {
  const text = Buffer.from(typeUrl).toString('latin1');
  return text.slice(text.lastIndexOf('/') + 1) === retryInfoType;
}

function* lengthDelimited(message: Uint8Array, field: number): Generator<Uint8Array> {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === field && type === WireType.LengthDelimited) yield reader.bytes();
    else reader.skip(type, number);
  }
}

/** google.protobuf.Duration: seconds = 1 (int64), nanos = 2 (int32). */
function durationMs(message: Uint8Array): number {
  const reader = new BinaryReader(message);
  let seconds = 0;
  let nanos = 0;
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === 1 && type === WireType.Varint) seconds = Number(reader.int64());
    else if (number === 2 && type === WireType.Varint) nanos = reader.int32();
    else reader.skip(type, number);
  }
  const delayMs = Math.ceil(seconds * 1000 + nanos / 1_000_000);
  return Math.min(Math.max(delayMs, 0), delayMsMax);
}
