import { LossReason, ThinnedBatch } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeThinnedBatch, encodeThinnedBatch, lossesOfThinned } from './thinned-batch.js';

const range = fc.record({
  epoch: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  first: fc.maxSafeNat(),
  last: fc.maxSafeNat(),
  readings: fc.nat(1_000_000),
  bound: fc.constant(false),
  reason: fc.constant(LossReason.THINNED),
});

describe('the body of a thinned item', () => {
  it('is what the generated code writes and reads', () => {
    const ranges = fc.array(fc.tuple(range, fc.nat(100_000)), { maxLength: 20 });
    fc.assert(
      fc.property(ranges, fc.uint8Array({ maxLength: 300 }), (pairs, batch) => {
        const replaced = pairs.map(([entry]) => entry);
        const kept = pairs.map(([, count]) => count);
        const readings = kept.reduce((sum, count) => sum + count, 0);
        const body = encodeThinnedBatch({ replaced, kept, batch });
        const generated = ThinnedBatch.encode({ replaced, readings, batch, kept }).finish();
        expect(Buffer.from(body)).toEqual(Buffer.from(generated));
        const decoded = decodeThinnedBatch(body);
        expect({ ...decoded, batch: Buffer.from(decoded.batch) }).toEqual({
          replaced,
          kept,
          batch: Buffer.from(batch),
        });
      }),
      { seed: 7 },
    );
  });

  it('declares, when it goes itself, all that the replaced sequences had', () => {
    const epoch = new Uint8Array(16);
    const replaced = [
      { epoch, first: 1, last: 4, readings: 30, bound: false, reason: LossReason.THINNED },
      { epoch, first: 6, last: 6, readings: 5, bound: false, reason: LossReason.THINNED },
    ];
    const body = { replaced, kept: [10, 0], batch: new Uint8Array(1) };
    expect(lossesOfThinned(body, LossReason.EVICTED)).toEqual([
      ...replaced,
      { epoch, first: 1, last: 4, readings: 10, bound: false, reason: LossReason.EVICTED },
    ]);
  });
});
