import { glob, type Matcher } from './glob.js';
import type { Rule } from './rule.js';
import type { SeriesIdentity } from './series-identity.js';

/** Compiles which series a rule is for. Asked once a series, never a reading. */
export function compileSelection(select: Rule['select']): (series: SeriesIdentity) => boolean {
  const name = glob(select.name);
  const device = glob(select.device);
  const labels = Object.entries(select.labels ?? {}).map(([key, pattern]): [string, Matcher] => [key, glob(pattern)]);
  return (series) =>
    name(series.name) &&
    device(series.device) &&
    (select.unit === undefined || select.unit === series.unit) &&
    labels.every(([key, matches]) => Object.hasOwn(series.labels, key) && matches(series.labels[key] ?? ''));
}
