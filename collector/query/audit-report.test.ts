import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { describe, expect, it } from 'vitest';
import { reportAudit } from './audit-report.js';

const epoch: EpochAudit = {
  device: 'd',
  epoch: new Uint8Array(16).fill(1),
  highestSequence: 9,
  produced: 100,
  stored: 60,
  declared: [
    { reason: LossReason.EVICTED, readings: 5, bound: false },
    { reason: LossReason.CRASH_WINDOW, readings: 4, bound: false },
    { reason: LossReason.CRASH_WINDOW, readings: 31, bound: true },
  ],
  missing: 0,
  doubled: 0,
  duplicatesDropped: 0,
  waiting: 0,
};

describe('the report of an audit', () => {
  it('keeps what is exact apart from what is at most, for a person', () => {
    const { text, passes } = reportAudit([epoch, { ...epoch, stored: 100, declared: [] }], false);
    expect(passes).toBe(true);
    expect(text).toContain('declared 9 + at most 31 (evicted 5, crash-window 4, crash-window at most 31)');
    expect(text).toContain('OK: produced at most 200 = stored 160 + declared 9 + at most 31; nothing missing');
  });

  it('and for a program', () => {
    const { totals, epochs } = JSON.parse(reportAudit([epoch], true).text);
    expect(totals).toEqual({ produced: 100, stored: 60, declared: 9, bound: 31, missing: 0, doubled: 0 });
    expect(epochs[0].declared[2]).toEqual({ reason: 'crash-window', readings: 31, bound: true });
  });

  it('does not pass when a reading is missing or doubled', () => {
    expect(reportAudit([{ ...epoch, missing: 1, produced: 101 }], false).passes).toBe(false);
    const { text, passes } = reportAudit([{ ...epoch, doubled: 2 }], false);
    expect(passes).toBe(false);
    expect(text).toContain('NOT OK');
  });
});
