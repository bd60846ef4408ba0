import { type Condition, compile, type Transition } from '@tributary/core/rules/condition';
import { incidentId } from '@tributary/core/rules/incident-id';
import { type Rule, ruleVersion } from '@tributary/core/rules/rule';
import { compileSelection } from '@tributary/core/rules/selection';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import { compileTemplate, type Template } from '@tributary/core/rules/template';
import { type Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';

/** A rule made ready: what is asked for each series, each column and each transition. */
export interface CompiledRule {
  name: string;
  version: string;
  severity: string;
  condition: Condition;
  selects(series: SeriesIdentity): boolean;
  /** The transition as an alert without a number. */
  alert(series: SeriesIdentity, transition: Transition, late: boolean): Alert;
}

export function compileRule(rule: Rule): CompiledRule {
  const version = ruleVersion(rule);
  const labels = templates(rule.labels);
  const annotations = templates(rule.annotations);
  return {
    name: rule.name,
    version,
    severity: rule.severity,
    condition: compile(rule),
    selects: compileSelection(rule.select),
    alert(series, transition, late) {
      const values = { value: transition.value, device: series.device, series: series.name, labels: series.labels };
      return {
        number: 0,
        incidentId: incidentId(rule.name, series, transition.onset),
        state: transition.to === 'firing' ? AlertState.FIRING : AlertState.RESOLVED,
        rule: rule.name,
        ruleVersion: version,
        severity: rule.severity,
        device: series.device,
        seriesName: series.name,
        seriesUnit: series.unit,
        seriesLabels: { ...series.labels },
        value: transition.value,
        startedAtUs: transition.startedAtUs,
        transitionAtUs: transition.atUs,
        labels: labels(values),
        annotations: annotations(values),
        late,
        retracted: false,
        authority: RuleAuthority.COLLECTOR,
      };
    },
  };
}

function templates(texts: Readonly<Record<string, string>>) {
  const compiled = Object.entries(texts).map(([key, text]): [string, Template] => {
    const result = compileTemplate(text);
    if (!result.ok) throw new RangeError(`template ${key}: ${result.problem}`);
    return [key, result.template];
  });
  return (values: Parameters<Template>[0]): Record<string, string> =>
    Object.fromEntries(compiled.map(([key, template]) => [key, template(values)]));
}
