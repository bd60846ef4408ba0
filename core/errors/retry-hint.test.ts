import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Metadata } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryHint, retryInfoDelayMs } from './retry-hint.js';

/** google.rpc.Status with one detail for each entry. */
function status(...details: { type: string; value: Uint8Array }[]): Uint8Array {
  const writer = new BinaryWriter().uint32(8).int32(14).uint32(18).string('later');
  for (const { type, value } of details) {
    writer.uint32(26).fork().uint32(10).string(`type.googleapis.com/${type}`).uint32(18).bytes(value).join();
  }
  return writer.finish();
}

function retryInfo(seconds: number, nanos: number): { type: string; value: Uint8Array } {
  const value = new BinaryWriter().uint32(10).fork().uint32(8).int64(seconds).uint32(16).int32(nanos).join().finish();
  return { type: 'google.rpc.RetryInfo', value };
}

function trailers(key: string, value: string | Buffer): Metadata {
  const metadata = new Metadata();
  metadata.set(key, value);
  return metadata;
}

describe("a server's hint about trying again", () => {
  it('is absent without trailers', () => {
    expect(retryHint(new Metadata())).toEqual({ kind: 'none' });
  });

  it('is read from grpc-retry-pushback-ms, where a negative or unreadable value means never', () => {
    expect(retryHint(trailers('grpc-retry-pushback-ms', '1500'))).toEqual({ kind: 'after', delayMs: 1500 });
    expect(retryHint(trailers('grpc-retry-pushback-ms', '-1'))).toEqual({ kind: 'never' });
    expect(retryHint(trailers('grpc-retry-pushback-ms', 'soon'))).toEqual({ kind: 'never' });
    expect(retryHint(trailers('grpc-retry-pushback-ms', '999999999999'))).toEqual({
      kind: 'after',
      delayMs: 86_400_000,
    });
  });

  it('is read from RetryInfo among the details', () => {
    const other = { type: 'google.rpc.DebugInfo', value: new Uint8Array([10, 1, 65]) };
    const bytes = Buffer.from(status(other, retryInfo(2, 500_000_001)));
    expect(retryHint(trailers('grpc-status-details-bin', bytes))).toEqual({ kind: 'after', delayMs: 2501 });
    expect(retryHint(trailers('grpc-status-details-bin', Buffer.from(status(other))))).toEqual({ kind: 'none' });
  });

  it('stays within a day whatever the duration says', () => {
    expect(retryInfoDelayMs(status(retryInfo(-5, 0)))).toBe(0);
    expect(retryInfoDelayMs(status(retryInfo(2 ** 52, 0)))).toBe(86_400_000);
  });

  it('is absent when the bytes are too many or the details too long', () => {
    const filler = Array.from({ length: 16 }, () => ({ type: 'x', value: new Uint8Array(1) }));
    expect(retryInfoDelayMs(status(...filler, retryInfo(1, 0)))).toBeUndefined();
    expect(retryInfoDelayMs(status(retryInfo(1, 0), { type: 'x', value: new Uint8Array(9000) }))).toBeUndefined();
  });

  it('is a number of milliseconds or nothing for any bytes', () => {
    const good = status(retryInfo(3, 0));
    const damaged = fc.record({ at: fc.nat(good.length - 1), to: fc.nat(255), length: fc.nat(good.length) });
    const check = (bytes: Uint8Array) => {
      const delayMs = retryInfoDelayMs(bytes);
      expect(delayMs === undefined || (delayMs >= 0 && delayMs <= 86_400_000)).toBe(true);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check), { seed: 7 });
    fc.assert(
      fc.property(damaged, ({ at, to, length }) => {
        const bytes = good.slice(0, length);
        if (at < length) bytes[at] = to;
        check(bytes);
      }),
      { seed: 7, numRuns: 1000 },
    );
  });
});
