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
const anchor = (id: number) => ({
  id,
  segment: 1,
  atUs: 1e12,
  offsetUs: 1.7e15,
  uncertaintyUs: 8.64e10,
  state: ClockState.PLACED,
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
    const whole = { series: all, segments: [segment(1), segment(2)], anchors: [anchor(1), anchor(2), anchor(3)] };
    const known = { series: 0, segments: 0, anchors: 0 };
    let pages = 0;
    while (known.series < 500 || known.segments < 2 || known.anchors < 3) {
      const page = cataloguePage(whole, known, 8192);
      const request = RegisterRequest.encode({
        startId: new Uint8Array(16),
        agentVersion: '',
        epochs: [],
        ...page,
        rulesVersion: '',
        monotonicUs: 0,
        segment: 0,
        attributes: {},
      }).finish();
      expect(request.length).toBeLessThanOrEqual(8192);
      for (const entry of page.series) expect(entry.id).toBe(++known.series);
      for (const entry of page.segments) expect(entry.id).toBe(++known.segments);
      for (const entry of page.anchors) expect(entry.id).toBe(++known.anchors);
      expect(++pages).toBeLessThan(50);
    }
    expect(pages).toBeGreaterThan(3);
  });

  it('makes progress even when one entry is larger than a page', () => {
    const page = cataloguePage({ series: all, segments: [], anchors: [] }, { series: 3, segments: 0, anchors: 0 }, 1);
    expect(page.series.map((entry) => entry.id)).toEqual([4]);
  });

  it('is empty when everything is known', () => {
    const whole = { series: all, segments: [segment(1)], anchors: [anchor(1)] };
    expect(cataloguePage(whole, { series: 500, segments: 1, anchors: 1 }, 8192)).toEqual({
      series: [],
      segments: [],
      anchors: [],
    });
  });
});
