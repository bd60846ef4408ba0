import { alertOf } from '@tributary/core/rules/alert-of';
import { incidentId } from '@tributary/core/rules/incident-id';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Cell, OpenIncident } from './tracks.js';

/** An incident as a walk through what is stored has found it. */
export interface Truth {
  /** As its rule knows it. One that fired where the walk began has the id under which it is recorded. */
  incident: OpenIncident;
  /** It fired where the walk began. */
  isInherited: boolean;
  /** The value that made it fire; NaN where the walk did not see it. */
  value: number;
  /** Undefined while it fires. */
  end: Transition | undefined;
}

/** An incident that begins to fire on a walk. */
export function found(cell: Cell, { onset, series, startedAtUs, atUs, value }: Transition): Truth {
  const id = incidentId(cell.rule.name, series, onset);
  const incident = { onset, id, series, startedAtUs, firedAtUs: atUs, notified: false };
  return { incident, isInherited: false, value, end: undefined };
}

/** An incident that fires where a walk begins. */
export function inherited(incident: OpenIncident): Truth {
  return { incident, isInherited: true, value: Number.NaN, end: undefined };
}

/** Its beginning, or its end where it has one, as a late alert. */
export function alertOfTruth(
  cell: Cell,
  { incident, value, end }: Truth,
  of: 'beginning' | 'end',
  attributes: Readonly<Record<string, string>>,
): Alert {
  const { onset, series, startedAtUs, firedAtUs } = incident;
  const beginning: Transition = { to: 'firing', onset, startedAtUs, atUs: firedAtUs, value, series };
  return alertOf(cell.rule, (of === 'end' ? end : undefined) ?? beginning, true, attributes);
}
