import type { Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';

// Written as numbers, because the generated enumeration would load gRPC, which an agent has only once its sources run.

export const FIRING: AlertState.FIRING = 2;
export const RESOLVED: AlertState.RESOLVED = 3;

const names: readonly string[] = ['unspecified', 'pending', 'firing', 'resolved', 'unknown'];

/** The word for a state; `unknown` also for one that a later version has added. */
export function stateName(state: AlertState): string {
  return names[state] ?? 'unknown';
}

/** The labels of an alert: those of its series, and over them those that the rule gives. */
export function labelsOf({ seriesLabels, labels }: Alert): Map<string, string> {
  return new Map([...Object.entries(seriesLabels), ...Object.entries(labels)]);
}
