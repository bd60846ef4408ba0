import type { ColumnType } from '@tributary/proto/batch/batch';
import { derivationOf } from './check-condition.js';
import type { Condition } from './condition.js';
import { DeviceAbsence } from './device-absence.js';
import { DeviceInstance } from './device-instance.js';
import { durationsOf } from './lifecycle.js';
import { type Rule, ruleVersion } from './rule.js';
import type { RuleInstance } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import { type Attributes, compileDeviceSelection, compileSelection } from './selection.js';
import type { SeriesIdentity } from './series-identity.js';
import { SeriesInstance } from './series-instance.js';
import { sourceOf } from './source-of.js';
import { compileTemplate, labelsNamedIn, type TemplateValues } from './template.js';
import { ThresholdInstance, thresholdRule } from './threshold.js';

export type Authority = 'collector' | 'device';

/** A rule made ready: the same on devices and collectors. */
export interface CompiledRule {
  readonly rule: Rule;
  readonly name: string;
  readonly version: string;
  readonly severity: string;
  /** Who evaluates it. */
  readonly authority: Authority;
  /** Whether an instance is of one series or of one device. */
  readonly scope: 'series' | 'device';
  /** Instances must be told that time passes. */
  readonly watchesTime: boolean;
  /** Instances must be told when their device was heard of: `absent` of a device. They take no readings. */
  readonly watchesDevice: boolean;
  /** How far back in event time its condition depends on readings, microseconds; Infinity where it never forgets. */
  readonly memoryUs: number;
  /** Whether it is for this series, of a rule over a device whether one of its members is. */
  selects(series: SeriesIdentity, attributes: Attributes): boolean;
  selectsDevice(device: Pick<SeriesIdentity, 'device'>, attributes: Attributes): boolean;
  /** Whether it can judge readings of this type; it must be shown no others. */
  takes(type: ColumnType): boolean;
  /** A state at rest. A rule over a device wants an identity whose name is empty. */
  newInstance(series: SeriesIdentity): RuleInstance;
  /**
   * What `save` wrote; undefined when another version of the rule did. `lastUs` is the newest reading that the series is
   * known to have: a rule at rest is not saved with each reading.
   */
  restore(saved: SavedInstance, series: SeriesIdentity, lastUs?: number): RuleInstance | undefined;
  /**
   * Rules over a device: the number that the series has in `MergedReadings.member`, or -1 when no member is for it or there
   * is no room for more. It stays with the instance and what is saved of it.
   */
  join(instance: RuleInstance, series: SeriesIdentity, attributes: Attributes, type: ColumnType): number;
  /** Labels of the series that its texts name; a text says nothing in place of one that the series lacks. */
  readonly labelsNamed: readonly string[];
  /** Texts of the rule with their names filled in. */
  labels(values: TemplateValues): Record<string, string>;
  annotations(values: TemplateValues): Record<string, string>;
}

/** What differs from one kind of rule to another. */
type Kind = Pick<
  CompiledRule,
  'scope' | 'watchesTime' | 'watchesDevice' | 'memoryUs' | 'selects' | 'takes' | 'newInstance' | 'restore' | 'join'
>;

/** Compiles a checked rule. */
export function compileRule(rule: Rule): CompiledRule {
  const version = ruleVersion(rule);
  return {
    rule,
    name: rule.name,
    version,
    severity: rule.severity,
    authority: rule.evaluate,
    selectsDevice: compileDeviceSelection(rule.select ?? {}),
    labelsNamed: [
      ...new Set([...Object.values(rule.labels), ...Object.values(rule.annotations)].flatMap(labelsNamedIn)),
    ],
    labels: templates(rule.labels),
    annotations: templates(rule.annotations),
    ...kindOf(rule, version),
  };
}

function kindOf(rule: Rule, version: string): Kind {
  if (rule.all !== undefined || rule.any !== undefined) return combination(rule, version);
  if (typeof rule.absent === 'object' && rule.absent.of === 'device')
    return deviceAbsence(rule, rule.absent.for, version);
  return overSeries(rule, version);
}

function overSeries(rule: Rule, version: string): Kind {
  const source = sourceOf(rule, rule.gap);
  const durations = { ...durationsOf(rule), gapUs: source.gapUs };
  const compared = derivationOf(rule) === undefined;
  const threshold = thresholdRule(rule, version, durations);
  const derived = { version, durations, texts: rule.absent !== undefined, newSource: source.newSource };
  const make = (series: SeriesIdentity, saved?: SavedInstance) =>
    compared ? new ThresholdInstance(threshold, series, saved) : new SeriesInstance(derived, series, saved);
  return {
    scope: 'series',
    watchesTime: source.watchesTime,
    watchesDevice: false,
    memoryUs: source.memoryUs,
    selects: compileSelection(rule.select ?? {}),
    takes: takesOf(rule),
    newInstance: (series) => make(series),
    restore: (saved, series, lastUs) =>
      saved.version !== version ? undefined : make(series, compared ? withNewest(saved, lastUs) : saved),
    join: () => -1,
  };
}

function combination(rule: Rule, version: string): Kind {
  const { device = '*', attributes } = rule.select ?? {};
  const fields = rule.all ?? rule.any ?? [];
  const sources = fields.map((member) => sourceOf(member, rule.gap));
  const selects = fields.map((member) => compileSelection({ ...member.select, device, attributes }));
  const takes = fields.map(takesOf);
  const members = fields.map(({ equals }, index) =>
    typeof equals === 'string'
      ? { text: equals, newSource: sourceOf({ equals: 1 }, rule.gap).newSource }
      : { text: undefined, newSource: sources[index]!.newSource },
  );
  const compiled = {
    version,
    durations: durationsOf(rule),
    combination: rule.all === undefined ? ('any' as const) : ('all' as const),
    members,
  };
  return {
    scope: 'device',
    // An instant is judged once it has passed.
    watchesTime: true,
    watchesDevice: false,
    memoryUs: Math.max(rule.gap * 1000, ...sources.map(({ memoryUs }) => memoryUs)),
    selects: (series, of) => selects.some((one) => one(series, of)),
    takes: (type) => takes.some((one) => one(type)),
    newInstance: (series) => new DeviceInstance(compiled, series),
    restore: (saved, series) => (saved.version === version ? new DeviceInstance(compiled, series, saved) : undefined),
    join(instance, series, of, type) {
      if (!(instance instanceof DeviceInstance)) throw new RangeError('no instance of this rule');
      const fits = members
        .map((_, index) => index)
        .filter((index) => takes[index]!(type) && selects[index]!(series, of));
      return instance.join(series, fits, type === 'string');
    },
  };
}

function deviceAbsence(rule: Rule, absentMs: number, version: string): Kind {
  const compiled = { version, durations: durationsOf(rule), absentUs: absentMs * 1000 };
  return {
    scope: 'device',
    watchesTime: true,
    watchesDevice: true,
    memoryUs: compiled.absentUs,
    selects: () => false,
    takes: () => false,
    newInstance: (series) => new DeviceAbsence(compiled, series),
    restore: (saved, series) => (saved.version === version ? new DeviceAbsence(compiled, series, saved) : undefined),
    join: () => -1,
  };
}

function takesOf({ equals, absent }: Condition): (type: ColumnType) => boolean {
  if (absent !== undefined) return () => true;
  if (typeof equals === 'string') return (type) => type === 'string';
  if (typeof equals === 'boolean') return (type) => type === 'boolean';
  return (type) => type !== 'string';
}

function withNewest(saved: SavedInstance, lastUs = Number.NEGATIVE_INFINITY): SavedInstance {
  if (saved.phase !== 'inactive' || !(lastUs > (saved.lastUs ?? Number.NEGATIVE_INFINITY))) return saved;
  return { ...saved, lastUs, signalUs: lastUs };
}

function templates(texts: Readonly<Record<string, string>>): (values: TemplateValues) => Record<string, string> {
  const compiled = Object.entries(texts).map(([key, text]) => {
    const result = compileTemplate(text);
    if (!result.ok) throw new RangeError(`template ${key}: ${result.problem}`);
    return [key, result.template] as const;
  });
  return (values) => Object.fromEntries(compiled.map(([key, template]) => [key, template(values)]));
}
