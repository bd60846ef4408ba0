import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { BufferIdentity, Buffer as EdgeBuffer } from '../buffer/buffer.js';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import type { SeriesSpec } from '../sensors/source.js';
import { AgentCatalogue } from './agent-catalogue.js';

const spec = (name: string, type: SeriesSpec['type'] = 'double'): SeriesSpec => ({ name, unit: '', labels: {}, type });

/** The catalogue of a buffer, as its contract says. */
class ModelCatalogue {
  epoch = new Uint8Array(16);
  series: SeriesDeclaration[] = [];
  segments: SegmentDeclaration[] = [];
  anchors: ClockAnchor[] = [];
  anchorFailuresAfter = -1;
  failures = 0;
  segmentFailuresAfter = -1;

  get identity(): BufferIdentity {
    const { epoch, series, segments } = this;
    return {
      epoch,
      highestSequence: 0,
      readingsProduced: 0,
      series: [...series],
      segments: [...segments],
      anchors: [...this.anchors],
      isSuspect: false,
      alertCursor: 0,
      opened: 'clean',
    };
  }

  async addSeries(series: readonly Omit<SeriesDeclaration, 'id'>[]): Promise<SeriesDeclaration[]> {
    if (this.failures-- > 0) throw new TributaryError('disk', 'no');
    return series.map((each) => {
      const known = this.series.find(({ name }) => name === each.name);
      if (known !== undefined) return known;
      const { name, unit, labels, type } = each;
      const added = { id: this.series.length + 1, name, unit, labels, type };
      this.series.push(added);
      return added;
    });
  }

  async addSegment(segment: Omit<SegmentDeclaration, 'id'>): Promise<SegmentDeclaration> {
    if (this.segmentFailuresAfter-- === 0) throw new TributaryError('disk', 'no');
    const added = { ...segment, id: this.segments.length + 1 };
    this.segments.push(added);
    return added;
  }

  async addAnchor(anchor: Omit<ClockAnchor, 'id'>): Promise<ClockAnchor> {
    if (this.anchorFailuresAfter-- === 0) throw new TributaryError('disk', 'no');
    const added = { ...anchor, id: this.anchors.length + 1 };
    this.anchors.push(added);
    return added;
  }

  begin(): void {
    this.epoch = new Uint8Array(16).fill(9);
    this.series = [];
    this.segments = [];
    this.anchors = [];
  }
}

function surroundings(model = new ModelCatalogue()) {
  const scheduler = new ManualScheduler();
  let changes = 0;
  const catalogue = new AgentCatalogue(model.identity, {
    buffer: model as unknown as EdgeBuffer,
    scheduler,
    random: seededRandom(1),
    log: pino({ level: 'silent' }),
    changed: () => changes++,
  });
  const settled = async () => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  return { model, catalogue, scheduler, settled, changes: () => changes };
}

describe('the catalogue of an agent', () => {
  it('declares what is new behind the question, in one go', async () => {
    const { model, catalogue, settled, changes } = surroundings();
    const [a, b] = [spec('a'), spec('b')];
    expect([catalogue.idOf(a), catalogue.idOf(b), catalogue.idOf(spec('a'))]).toEqual([
      'pending',
      'pending',
      'pending',
    ]);
    await settled();
    expect([catalogue.idOf(a), catalogue.idOf(b), catalogue.idOf(spec('a'))]).toEqual([1, 2, 1]);
    expect(changes()).toBe(1);
    expect(model.series).toHaveLength(2);
    expect(catalogue.series).toEqual(model.series);
  });

  it('knows what an earlier run has declared, and refuses another type', async () => {
    const model = new ModelCatalogue();
    await model.addSeries([{ name: 'a', unit: '', labels: {}, type: 1 }]);
    const { catalogue } = surroundings(model);
    expect(catalogue.idOf(spec('a'))).toBe(1);
    expect(catalogue.idOf(spec('a', 'string'))).toBe('refused');
  });

  it('tries again while the buffer cannot be written', async () => {
    const { model, catalogue, scheduler, settled } = surroundings();
    model.failures = 3;
    const a = spec('a');
    catalogue.idOf(a);
    for (let i = 0; i < 5; i++) {
      await settled();
      scheduler.advance(30_000);
    }
    await settled();
    expect(catalogue.idOf(a)).toBe(1);
  });

  it('gives a buffer that has begun anew the same ids', async () => {
    const { model, catalogue, settled } = surroundings();
    const specs = ['a', 'b', 'c'].map((name) => spec(name));
    for (const each of specs) catalogue.idOf(each);
    await catalogue.addSegment({ bootId: 'x', offsetUs: 1, observedAtUs: 2, uncertaintyUs: 3, state: 3 });
    await settled();
    model.begin();
    await catalogue.restore();
    expect(model.series.map(({ id, name }) => [id, name])).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ]);
    expect(model.segments).toEqual(catalogue.segments);
    expect(specs.map((each) => catalogue.idOf(each))).toEqual([1, 2, 3]);
  });

  it('keeps the anchors that are written when a later one is not, and gives a new buffer all of them', async () => {
    const { model, catalogue, changes } = surroundings();
    await catalogue.addSegment({ bootId: 'x', offsetUs: 1, observedAtUs: 2, uncertaintyUs: 3, state: 3 });
    const anchor = { segment: 1, atUs: 5, offsetUs: 1, uncertaintyUs: 3, state: 2 };
    model.anchorFailuresAfter = 2;
    const three = [anchor, { ...anchor, atUs: 6 }, { ...anchor, atUs: 7 }];
    const before = changes();
    await expect(catalogue.addAnchors(three)).rejects.toMatchObject({ code: 'disk' });
    expect(changes()).toBe(before + 1);
    expect(catalogue.anchors.map(({ id, atUs }) => [id, atUs])).toEqual([
      [1, 5],
      [2, 6],
    ]);
    model.begin();
    await catalogue.restore();
    expect(model.anchors).toEqual(catalogue.anchors);
  });

  it('declares no segment twice, whoever asks at the same time and however often an attempt fails', async () => {
    const { model, catalogue } = surroundings();
    const segment = { bootId: 'x', offsetUs: 1, observedAtUs: 2, uncertaintyUs: 3, state: 3 };
    for (const offsetUs of [1, 2, 3]) await catalogue.addSegment({ ...segment, offsetUs });
    model.begin();
    model.segmentFailuresAfter = 1;
    const identity = model.identity;
    Object.defineProperty(model, 'identity', { value: identity, configurable: true });
    const both = await Promise.allSettled([catalogue.restore(), catalogue.restore()]);
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await Promise.all([catalogue.restore(), catalogue.addSegment({ ...segment, offsetUs: 4 })]);
    expect(model.segments.map(({ id, offsetUs }) => [id, offsetUs])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ]);
    expect(catalogue.segments).toEqual(model.segments);
  });

  it('does not take names without end', () => {
    const { catalogue } = surroundings();
    for (let i = 0; i < 10_000; i++) expect(catalogue.idOf(spec(`s${i}`))).toBe('pending');
    expect(catalogue.idOf(spec('one more'))).toBe('refused');
  });
});
