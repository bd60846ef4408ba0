import { DeferralReason, RejectionReason, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { uploadVerdicts } from './upload-answer.js';

const empty = UploadResponse.decode(new Uint8Array(0));
const range = (first: number, last: number) => ({ first, last });

describe('the verdicts of an answer', () => {
  it('name nothing that was not sent', () => {
    const verdicts = uploadVerdicts(
      {
        ...empty,
        durable: [range(1, 1000)],
        forked: [range(30, 50)],
        rejected: [{ sequence: 99, reason: RejectionReason.TYPE, detail: '' }],
      },
      [range(5, 9)],
    );
    expect(verdicts.durable).toEqual([range(5, 9)]);
    expect(verdicts.forked).toEqual([]);
    expect(verdicts.rejected).toEqual([]);
    expect(verdicts.unnamed).toEqual([]);
  });

  it('end contradictions on the safe side', () => {
    const verdicts = uploadVerdicts(
      {
        ...empty,
        durable: [range(5, 7)],
        forked: [range(6, 6)],
        rejected: [
          { sequence: 5, reason: RejectionReason.TYPE, detail: '' },
          { sequence: 8, reason: RejectionReason.TYPE, detail: 'a' },
          { sequence: 8, reason: RejectionReason.TYPE, detail: 'again' },
        ],
      },
      [range(5, 9)],
    );
    expect(verdicts.durable).toEqual([range(5, 5), range(7, 7)]);
    expect(verdicts.forked).toEqual([range(6, 6)]);
    expect(verdicts.rejected.map((r) => r.detail)).toEqual(['a']);
    expect(verdicts.unnamed).toEqual([range(9, 9)]);
  });

  it('pause the lane for pressure, and only the range for an unknown encoding', () => {
    const verdicts = uploadVerdicts(
      {
        ...empty,
        durable: [range(1, 2)],
        later: [
          { range: range(3, 3), reason: DeferralReason.UNKNOWN_ENCODING, delayMs: 60_000 },
          { range: range(4, 5), reason: DeferralReason.PRESSURE, delayMs: 200 },
        ],
      },
      [range(1, 6)],
    );
    expect(verdicts).toMatchObject({ held: [range(3, 3)], heldMs: 60_000, pauseMs: 200, registerAgain: false });
    expect(verdicts.pauseReason).toBe(DeferralReason.PRESSURE);
    expect(verdicts.unnamed).toEqual([range(6, 6)]);
  });

  it('tell to register again, and to leave', () => {
    const verdicts = uploadVerdicts(
      {
        ...empty,
        later: [
          { range: range(1, 1), reason: DeferralReason.REGISTER_AGAIN, delayMs: 0 },
          { range: range(2, 2), reason: DeferralReason.SHUTDOWN, delayMs: 1e12 },
        ],
      },
      [range(1, 2)],
    );
    expect(verdicts).toMatchObject({ registerAgain: true, leaving: true, pauseMs: 86_400_000 });
  });
});
