import { LossDeclaration } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { declarationBytesMax, decodeDeclaration, encodeDeclaration, mergeWhenMany } from './loss-entries.js';

const count = fc.oneof(fc.nat(300), fc.maxSafeNat());
const entry = fc.record({
  epoch: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  first: count,
  last: count,
  readings: count,
  bound: fc.boolean(),
  reason: fc.integer({ min: 0, max: 6 }),
});

describe('the body of a declaration', () => {
  it('is what the generated code writes and reads', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        const body = encodeDeclaration(entries);
        expect(Buffer.from(body)).toEqual(Buffer.from(LossDeclaration.encode({ entries }).finish()));
        expect(decodeDeclaration(body)).toEqual(entries);
        expect(body.length).toBeLessThanOrEqual(declarationBytesMax(entries.length));
      }),
      { seed: 7 },
    );
  });

  it('merges entries that touch when there are very many, and only then', () => {
    const epoch = new Uint8Array(16);
    const entries = Array.from({ length: 100 }, (_, at) => {
      return { epoch, first: 2 * at + 1, last: 2 * at + 2, readings: 3, bound: false, reason: at < 60 ? 1 : 3 };
    });
    expect(mergeWhenMany(entries.slice(0, 64))).toEqual(entries.slice(0, 64));
    expect(mergeWhenMany(entries.reverse())).toEqual([
      { epoch, first: 1, last: 120, readings: 180, bound: false, reason: 1 },
      { epoch, first: 121, last: 200, readings: 120, bound: false, reason: 3 },
    ]);
  });
});
