import type { ColumnType } from '@tributary/proto/batch/batch';
import { durationsOf } from './lifecycle.js';
import { type Rule, ruleVersion } from './rule.js';
import type { RuleInstance } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import { type Attributes, compileDeviceSelection, compileSelection } from './selection.js';
import type { SeriesIdentity } from './series-identity.js';
import { compileTemplate, type TemplateValues } from './template.js';
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
  /** Instances must be told when their device was heard of: `absent` of a device. */
  readonly watchesDevice: boolean;
  /** How far back in event time its state depends on readings, microseconds; Infinity where it never forgets. */
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
  /** Rules over a device: the number that the series has in `MergedReadings.member`, or -1. It is saved with the instance. */
  join(instance: RuleInstance, series: SeriesIdentity, attributes: Attributes): number;
  /** Texts of the rule with their names filled in. */
  labels(values: TemplateValues): Record<string, string>;
  annotations(values: TemplateValues): Record<string, string>;
}

/** Compiles a checked rule. */
export function compileRule(rule: Rule): CompiledRule {
  const version = ruleVersion(rule);
  const select = rule.select ?? {};
  const threshold = thresholdRule(rule, version, durationsOf(rule));
  return {
    rule,
    name: rule.name,
    version,
    severity: rule.severity,
    authority: rule.evaluate,
    scope: 'series',
    watchesTime: false,
    watchesDevice: false,
    memoryUs: (rule.for + rule.keep_firing_for) * 1000,
    selects: compileSelection(select),
    selectsDevice: compileDeviceSelection(select),
    takes: takesOf(rule.equals),
    newInstance: (series) => new ThresholdInstance(threshold, series),
    restore: (saved, series, lastUs) =>
      saved.version === version ? new ThresholdInstance(threshold, series, withNewest(saved, lastUs)) : undefined,
    join: () => -1,
    labels: templates(rule.labels),
    annotations: templates(rule.annotations),
  };
}

function takesOf(equals: Rule['equals']): (type: ColumnType) => boolean {
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
