import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import { describe, expect, it } from 'vitest';
import { TRANSITION, transitionIds } from './transition-ids.js';

const transition = (changes: Partial<IncidentTransition>): Uint8Array =>
  IncidentTransition.encode({
    ...IncidentTransition.decode(new Uint8Array(0)),
    rule: 'hot',
    onsetEpoch: new Uint8Array(16).fill(0xff),
    onsetSequence: 2 ** 40,
    startedUs: -5,
    value: 81.5,
    labels: { a: 'b' },
    ...changes,
  }).finish();

describe('what a transition refers to', () => {
  it('is what the generated code writes', () => {
    expect(TRANSITION).toBe(ItemKind.TRANSITION);
    expect(transitionIds(transition({ startedSegment: 7, transitionSegment: 70_000, seriesId: 300 }))).toEqual({
      seriesId: 300,
      segments: [7, 70_000],
    });
    expect(transitionIds(transition({ startedSegment: 0, transitionSegment: 3 }))).toEqual({
      seriesId: 0,
      segments: [3],
    });
  });

  it('is not looked for in what is no transition', () => {
    expect(() => transitionIds(new Uint8Array([0x08]))).toThrow(RangeError);
    expect(() => transitionIds(new Uint8Array([0x0b]))).toThrow(RangeError);
  });
});
