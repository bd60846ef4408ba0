import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { DeferralReason, ItemKind, Lane, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import type { Item } from '@tributary/proto/items/item';
import { describe, expect, it } from 'vitest';
import { Bench, batchItem, EPOCH, item, NOW_US } from './ingest-fixture.js';

const fired: IncidentTransition = {
  rule: 'too-hot',
  ruleVersion: '0123456789abcdef',
  seriesId: 1,
  state: AlertState.FIRING,
  onsetEpoch: EPOCH,
  onsetSequence: 1,
  onsetRow: 2,
  startedUs: 2000,
  startedSegment: 1,
  transitionUs: 5000,
  transitionSegment: 1,
  value: 81,
  severity: 'critical',
  labels: { team: 'kiln' },
  annotations: { text: 'too hot:\n81' },
  onsetGridUs: 0,
};

function transitionItem(sequence: number, changes: Partial<IncidentTransition> = {}, of: Partial<Item> = {}): Item {
  const body = IncidentTransition.encode({ ...fired, ...changes }).finish();
  return item(sequence, body, { kind: ItemKind.TRANSITION, readings: 0, readingsBefore: 0, ...of });
}

describe("a device's own transition", () => {
  it('is stored as an item without readings, its times resolved, and adopted once', () => {
    const bench = new Bench();
    const sent = transitionItem(1);
    expect(bench.upload([sent]).response?.durable).toEqual([{ first: 1, last: 1 }]);
    expect(bench.upload([sent]).response?.durable).toEqual([{ first: 1, last: 1 }]);
    const [stored] = bench.commits[0]![0]!.items;
    expect(stored).toMatchObject({
      kind: ItemKind.TRANSITION,
      readings: 0,
      firstUs: NOW_US - 1_000_000 + 2000,
      lastUs: NOW_US - 1_000_000 + 5000,
      quality: ClockState.ESTIMATED,
      lane: Lane.LIVE,
    });
    expect(bench.adopted).toEqual([
      {
        deviceId: 5,
        position: 1,
        lane: Lane.LIVE,
        startedAtUs: NOW_US - 1_000_000 + 2000,
        transitionAtUs: NOW_US - 1_000_000 + 5000,
        series: expect.objectContaining({ seriesId: 100 }),
        transition: { ...fired, onsetEpoch: Buffer.from(EPOCH) },
      },
    ]);
    expect(bench.core.counters).toMatchObject({ itemsStored: 1, readingsStored: 0, duplicates: 1 });
  });

  it('comes among batches, and both are followed', () => {
    const bench = new Bench();
    const { response } = bench.upload([
      batchItem(1),
      transitionItem(2, {}, { readingsBefore: 3 }),
      batchItem(3, { readingsBefore: 3 }),
    ]);
    expect(response?.durable).toEqual([{ first: 1, last: 3 }]);
    expect(bench.followed.map(({ sequence }) => sequence)).toEqual([1, 3]);
    expect(bench.adopted).toHaveLength(1);
  });

  it('that is about the device has no series', () => {
    const bench = new Bench();
    bench.upload([
      transitionItem(1, {
        seriesId: 0,
        startedSegment: 0,
        startedUs: NOW_US - 5,
        transitionSegment: 0,
        transitionUs: NOW_US,
      }),
    ]);
    expect(bench.adopted).toMatchObject([{ series: undefined, startedAtUs: NOW_US - 5, transitionAtUs: NOW_US }]);
  });

  it.each<[string, Partial<IncidentTransition>, RejectionReason, string, Partial<Item>?]>([
    ['without a rule', { rule: '' }, RejectionReason.MALFORMED, 'rule: empty'],
    ['with a rule of too long a name', { rule: 'r'.repeat(129) }, RejectionReason.MALFORMED, 'rule: 129 bytes'],
    ['without a severity', { severity: '' }, RejectionReason.MALFORMED, 'severity: empty'],
    ['in no state', { state: AlertState.UNSPECIFIED }, RejectionReason.MALFORMED, 'state: 0'],
    ['that only pends', { state: AlertState.PENDING }, RejectionReason.MALFORMED, 'state: 1'],
    ['with a short epoch', { onsetEpoch: new Uint8Array(3) }, RejectionReason.MALFORMED, 'onset_epoch: 3 bytes'],
    ['without a sequence', { onsetSequence: 0 }, RejectionReason.MALFORMED, 'onset_sequence: 0'],
    ['that ends before it begins', { transitionUs: 1999 }, RejectionReason.MALFORMED, 'started_us: 2000'],
    [
      'at no time that can be counted',
      { transitionUs: 2 ** 53 - 1 },
      RejectionReason.MALFORMED,
      'transition_us: beyond',
    ],
    ['with another checksum', {}, RejectionReason.CHECKSUM, 'checksum', { checksum: 1 }],
    ['with a control character in a label', { labels: { a: 'b\nc' } }, RejectionReason.MALFORMED, 'labels.a'],
    [
      'with too long a text',
      { annotations: { a: 'b'.repeat(1025) } },
      RejectionReason.MALFORMED,
      'annotations.a: 1025',
    ],
    [
      'with too many labels',
      { labels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`l${at}`, ''])) },
      RejectionReason.MALFORMED,
      'labels: 33',
    ],
    ['with readings', {}, RejectionReason.COUNT, 'readings: 3', { readings: 3 }],
    [
      'that is too long',
      { annotations: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`l${at}`, 'x'.repeat(1000)])) },
      RejectionReason.TOO_LARGE,
      'body: ',
    ],
  ])('%s is rejected with the field', (_, changes, reason, detail, of) => {
    const bench = new Bench();
    const { response } = bench.upload([transitionItem(1, changes, of), batchItem(2, { readingsBefore: 0 })]);
    expect(response?.rejected).toEqual([{ sequence: 1, reason, detail: expect.stringContaining(detail) }]);
    expect(response?.durable).toEqual([{ first: 2, last: 2 }]);
    expect(bench.adopted).toEqual([]);
  });

  it('whose body is none is rejected', () => {
    const bench = new Bench();
    const { response } = bench.upload([
      item(1, new Uint8Array([0x0a, 0xff]), { kind: ItemKind.TRANSITION, readings: 0 }),
    ]);
    expect(response?.rejected).toMatchObject([
      { reason: RejectionReason.MALFORMED, detail: 'body: not an IncidentTransition' },
    ]);
  });

  it.each<[string, Partial<IncidentTransition>, DeferralReason]>([
    ['of an unknown series', { seriesId: 9 }, DeferralReason.REGISTER_AGAIN],
    ['in an unknown segment', { startedSegment: 9 }, DeferralReason.REGISTER_AGAIN],
    ['in a state that a later version knows', { state: 9 as AlertState }, DeferralReason.UNKNOWN_ENCODING],
  ])('%s is taken later', (_, changes, reason) => {
    const { response } = new Bench().upload([transitionItem(1, changes)]);
    expect(response?.later).toMatchObject([{ range: { first: 1, last: 1 }, reason }]);
  });
});
