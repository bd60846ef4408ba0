import { randomBytes } from 'node:crypto';
import { systemClock } from '@tributary/core/clock/clock';
import type { RegisterRequest } from '@tributary/proto/gen/tributary/v1/device';
import {
  type ClockAnchor,
  ClockState,
  type SegmentDeclaration,
  type SeriesDeclaration,
  ValueType,
} from '@tributary/proto/gen/tributary/v1/series';
import { describe, expect, it } from 'vitest';
import { checkRegistration } from './check-registration.js';
import { IngestCounters } from './ingest-counters.js';
import { defaultIngestLimits } from './ingest-limits.js';
import { register } from './register.js';
import { settleClaims } from './segment-offset.js';

const series: SeriesDeclaration = { id: 1, name: 'temperature', unit: 'Cel', labels: {}, type: ValueType.DOUBLE };
const segment: SegmentDeclaration = {
  id: 1,
  bootId: 'boot',
  offsetUs: 1_800_000_000_000_000,
  observedAtUs: 0,
  uncertaintyUs: 1000,
  state: ClockState.SYNCHRONIZED,
};
const anchor: ClockAnchor = {
  id: 1,
  segment: 1,
  atUs: 9_000_000,
  offsetUs: segment.offsetUs,
  uncertaintyUs: 1000,
  state: ClockState.SYNCHRONIZED,
};
const epochState = { highestSequence: 0, readingsProduced: 0, itemsWaiting: 0, readingsWaiting: 0 };

function request(changes: Partial<RegisterRequest> = {}): RegisterRequest {
  return {
    startId: randomBytes(16),
    agentVersion: '0.1.0',
    epochs: [{ epoch: new Uint8Array(16).fill(1), ...epochState }],
    series: [series],
    segments: [segment],
    monotonicUs: 0,
    segment: 1,
    attributes: {},
    anchors: [],
    rulesVersion: '',
    ...changes,
  };
}

const check = (changes: Partial<RegisterRequest>) => checkRegistration(request(changes), defaultIngestLimits);

describe('a registration', () => {
  it('that is right is taken', () => {
    expect(check({})).toBeUndefined();
    expect(check({ series: [{ ...series, name: 'Ä'.repeat(64), labels: { site: 'Zürich' } }] })).toBeUndefined();
  });

  it.each<[string, Partial<RegisterRequest>, string]>([
    ['without a start id', { startId: new Uint8Array(3) }, 'start_id'],
    ['without an epoch', { epochs: [] }, 'epochs'],
    ['with a short epoch', { epochs: [{ epoch: new Uint8Array(2), ...epochState }] }, 'epochs.epoch'],
    [
      'with an epoch twice',
      { epochs: [1, 1].map((byte) => ({ epoch: new Uint8Array(16).fill(byte), ...epochState })) },
      'epochs',
    ],
    [
      'with too many epochs',
      { epochs: Array.from({ length: 65 }, (_, at) => ({ epoch: new Uint8Array(16).fill(at), ...epochState })) },
      'at most 64',
    ],
    ['with a nameless series', { series: [{ ...series, name: '' }] }, 'series.name'],
    ['with a name above 128 bytes', { series: [{ ...series, name: 'Ä'.repeat(65) }] }, 'series.name: 130 bytes'],
    ['with a control character', { series: [{ ...series, name: 'a\nb' }] }, 'series.name'],
    ['with broken UTF-8', { series: [{ ...series, name: 'a\ufffd' }] }, 'series.name'],
    ['with a long unit', { series: [{ ...series, unit: 'm'.repeat(33) }] }, 'series.unit'],
    ['with a long label', { series: [{ ...series, labels: { a: 'b'.repeat(257) } }] }, 'series.labels.a'],
    [
      'with too many labels',
      { series: [{ ...series, labels: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`l${at}`, ''])) }] },
      'series.labels',
    ],
    ['with a series id of 0', { series: [{ ...series, id: 0 }] }, 'series.id'],
    ['with ids out of order', { series: [series, series] }, 'series.id'],
    ['with an id beyond the limit', { series: [{ ...series, id: 5000 }] }, 'series.id'],
    ['with an unknown type', { series: [{ ...series, type: 9 as ValueType }] }, 'series.type'],
    ['with a nameless boot', { segments: [{ ...segment, bootId: '' }] }, 'segments.boot_id'],
    ['with a clock state that nobody knows', { segments: [{ ...segment, state: 77 as ClockState }] }, 'segments.state'],
    ['with an anchor id of 0', { anchors: [{ ...anchor, id: 0 }] }, 'anchors.id'],
    ['with an anchor of no segment', { anchors: [{ ...anchor, segment: 0 }] }, 'anchors.segment'],
    ['with an anchor beyond exact numbers', { anchors: [{ ...anchor, offsetUs: 2 ** 60 }] }, 'anchors.offset_us'],
    ['with an anchor in an unknown state', { anchors: [{ ...anchor, state: 9 as ClockState }] }, 'anchors.state'],
    ['with a segment id of 0', { segments: [{ ...segment, id: 0 }] }, 'segments.id'],
    ['with a long version', { agentVersion: '1'.repeat(65) }, 'agent_version'],
    ['with an empty attribute name', { attributes: { '': 'x' } }, 'attributes key'],
  ])('%s is refused with the field', (_, changes, problem) => {
    expect(check(changes)).toMatchObject({ reason: 'invalid', detail: expect.stringContaining(problem) });
  });

  it('that would flood the catalogue is refused for that reason', () => {
    const bomb = Array.from({ length: 4097 }, (_, at) => ({ ...series, id: at + 1, name: `s${at}` }));
    expect(check({ series: bomb })).toEqual({
      reason: 'too-many-series',
      detail: 'series: 4097; at most 4096 are taken of one device',
    });
    expect(check({ series: bomb.slice(1) })?.reason).toBe('invalid');
  });

  it('that is refused says which limit it is beyond, is counted, and does not reach the store', async () => {
    const counters = new IngestCounters();
    const unreached = () => {
      throw new Error('it came through');
    };
    const dependencies = {
      store: { register: unreached },
      clock: systemClock,
      core: { registered: unreached, counters },
      limits: { ...defaultIngestLimits, seriesPerDeviceMax: 0 },
    };
    const name = { tenant: '', device: 'heater' };
    expect((await register(dependencies, name, request())).outcome).toBe('too-many-series');
    expect((await register(dependencies, name, request({ series: [], epochs: [] }))).outcome).toBe('invalid');
    expect([...counters.registrationsRefused]).toEqual([
      ['too-many-series', 1],
      ['invalid', 1],
    ]);
  });
});

describe('the offset of a segment', () => {
  const exchange = { receivedAtUs: 1_800_000_010_000_000, monotonicUs: 10_000_000, segment: 1 };

  it('is the device’s own when it is synchronised and near the estimate', () => {
    const near = { ...segment, offsetUs: segment.offsetUs + 4_900_000 };
    expect(settleClaims([near], [], exchange)).toEqual({ segments: [near], anchors: [], corrected: 0 });
  });

  it.each([
    ['a synchronised clock that is far off', { offsetUs: segment.offsetUs - 5_100_000 }, 1],
    ['a clock that nobody vouches for', { state: ClockState.UNSYNCHRONIZED }, 0],
    ['a clock that says nothing', { state: ClockState.UNSPECIFIED }, 0],
  ])('is estimated for %s', (_, changes, contradicted) => {
    const { segments, corrected } = settleClaims([{ ...segment, ...changes }], [], exchange);
    expect(corrected).toBe(contradicted);
    expect(segments[0]).toMatchObject({
      offsetUs: 1_800_000_000_000_000,
      observedAtUs: 10_000_000,
      state: ClockState.ESTIMATED,
    });
  });

  it('of another segment than the exchange’s is left as the device says', () => {
    const older = { ...segment, offsetUs: 5, state: ClockState.UNSYNCHRONIZED };
    expect(settleClaims([older, { ...segment, id: 2 }], [], { ...exchange, segment: 2 }).segments[0]).toEqual(older);
  });

  it('is corrected in what became known later, with what a crystal may have drifted since allowed for', () => {
    const far = { ...anchor, offsetUs: segment.offsetUs - 5_100_000 };
    const { anchors, corrected } = settleClaims([], [far, { ...far, id: 2, segment: 2 }], exchange);
    expect(corrected).toBe(1);
    expect(anchors[0]).toMatchObject({ id: 1, offsetUs: 1_800_000_000_000_000, state: ClockState.ESTIMATED });
    expect(anchors[1]).toEqual({ ...far, id: 2, segment: 2 });
    const dayUs = 86_400_000_000;
    const dayLater = { ...exchange, monotonicUs: dayUs, receivedAtUs: 1_800_000_000_000_000 + dayUs };
    const drifted = { ...far, atUs: 0, offsetUs: segment.offsetUs - 20_000_000 };
    expect(settleClaims([], [drifted], dayLater)).toEqual({ segments: [], anchors: [drifted], corrected: 0 });
    const placed = { ...far, state: ClockState.PLACED };
    expect(settleClaims([], [placed], exchange)).toEqual({ segments: [], anchors: [placed], corrected: 0 });
  });
});
