import { type Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import type { CompiledRule } from './compiled-rule.js';
import { incidentId } from './incident-id.js';
import type { Transition } from './rule-instance.js';
import type { Attributes } from './selection.js';

/** A transition as an alert without a number, with the rule's texts. `late`: history, of which nobody is told. */
export function alertOf(rule: CompiledRule, transition: Transition, late: boolean, attributes: Attributes = {}): Alert {
  const { series, onset, value } = transition;
  const { device, name, unit, labels } = series;
  const { severity } = rule;
  const values = { value, device, series: name, unit, labels, attributes, rule: rule.name, severity };
  return {
    number: 0,
    incidentId: incidentId(rule.name, series, onset),
    state: transition.to === 'firing' ? AlertState.FIRING : AlertState.RESOLVED,
    rule: rule.name,
    ruleVersion: rule.version,
    severity,
    device,
    seriesName: name,
    seriesUnit: unit,
    seriesLabels: { ...labels },
    value,
    startedAtUs: transition.startedAtUs,
    transitionAtUs: transition.atUs,
    labels: rule.labels(values),
    annotations: rule.annotations(values),
    late,
    retracted: false,
    authority: rule.authority === 'device' ? RuleAuthority.DEVICE : RuleAuthority.COLLECTOR,
  };
}
