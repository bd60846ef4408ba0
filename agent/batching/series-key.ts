import type { SeriesSpec } from '../sensors/source.js';

/**
 * A text that is equal for equal series: name, unit, labels in any order. The type is left out, because a series has one
 * type for its whole life and the same name with another type is a conflict, not another series.
 */
export function seriesKey(spec: Pick<SeriesSpec, 'name' | 'unit' | 'labels'>): string {
  const labels = Object.entries(spec.labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return JSON.stringify([spec.name, spec.unit, labels]);
}
