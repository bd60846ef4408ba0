import { glob, type Matcher } from './glob.js';
import type { SeriesIdentity } from './series-identity.js';

/** Attributes of a device, such as its site. */
export type Attributes = Readonly<Record<string, string>>;

/** The fields of a rule that say which series it is for; what is absent matches everything. */
export interface Select {
  name?: string | undefined;
  device?: string | undefined;
  unit?: string | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  attributes?: Readonly<Record<string, string>> | undefined;
}

/** Compiles which series a rule is for. Asked once a series, never a reading. */
export function compileSelection(select: Select): (series: SeriesIdentity, attributes: Attributes) => boolean {
  const name = glob(select.name ?? '*');
  const device = compileDeviceSelection(select);
  const labels = compileRecord(select.labels);
  return (series, attributes) =>
    name(series.name) &&
    (select.unit === undefined || select.unit === series.unit) &&
    labels(series.labels) &&
    device(series, attributes);
}

/** Compiles which devices a rule is for, whatever their series. */
export function compileDeviceSelection(
  select: Select,
): (device: Pick<SeriesIdentity, 'device'>, attributes: Attributes) => boolean {
  const device = glob(select.device ?? '*');
  const attributesMatch = compileRecord(select.attributes);
  return (one, attributes) => device(one.device) && attributesMatch(attributes);
}

function compileRecord(patterns: Readonly<Record<string, string>> = {}) {
  const compiled = Object.entries(patterns).map(([key, pattern]): [string, Matcher] => [key, glob(pattern)]);
  return (values: Readonly<Record<string, string>>) =>
    compiled.every(([key, matches]) => Object.hasOwn(values, key) && matches(values[key] ?? ''));
}
