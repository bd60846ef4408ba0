import { RegisterRequest } from '@tributary/proto/gen/tributary/v1/device';
import { ClockState, type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { describe, expect, it } from 'vitest';
import { cataloguePage } from './catalogue-page.js';

const segment = (id: number) => ({
  id,
  bootId: 'b'.repeat(32),
  offsetUs: 1.7e15,
  observedAtUs: 1e12,
  uncertaintyUs: 1e6,
  state: ClockState.UNSYNCHRONIZED,
});
const series = (id: number): SeriesDeclaration => ({
  id,
  name: `temperature-${id}`,
  unit: 'Cel',
  labels: { room: `r${id}`, größe: 'ü'.repeat(20) },
  type: ValueType.DOUBLE,
});

describe('a page of the catalogue', () => {
  const all = Array.from({ length: 500 }, (_, i) => series(i + 1));

  it('covers everything page by page, each within its bytes', () => {
    let [seriesKnown, segmentsKnown, pages] = [0, 0, 0];
    while (seriesKnown < 500 || segmentsKnown < 2) {
      const page = cataloguePage(all, [segment(1), segment(2)], seriesKnown, segmentsKnown, 8192);
      const request = RegisterRequest.encode({
        startId: new Uint8Array(16),
        agentVersion: '',
        epochs: [],
        ...page,
        monotonicUs: 0,
        segment: 0,
        attributes: {},
        anchors: [],
      }).finish();
      expect(request.length).toBeLessThanOrEqual(8192);
      for (const entry of page.series) expect(entry.id).toBe(++seriesKnown);
      for (const entry of page.segments) expect(entry.id).toBe(++segmentsKnown);
      expect(++pages).toBeLessThan(50);
    }
    expect(pages).toBeGreaterThan(3);
  });

  it('makes progress even when one entry is larger than a page', () => {
    const page = cataloguePage(all, [], 3, 0, 1);
    expect(page.series.map((entry) => entry.id)).toEqual([4]);
  });

  it('is empty when everything is known', () => {
    expect(cataloguePage(all, [segment(1)], 500, 1, 8192)).toEqual({ series: [], segments: [] });
  });
});
