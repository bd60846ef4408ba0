import type { AlertState } from '@tributary/proto/gen/tributary/v1/alert';

// Written as numbers, because the generated enumeration would load gRPC, which an agent has only once its sources run.

export const FIRING: AlertState.FIRING = 2;

const names: readonly string[] = ['unspecified', 'pending', 'firing', 'resolved', 'unknown'];

/** The word for a state; `unknown` also for one that a later version has added. */
export function stateName(state: AlertState): string {
  return names[state] ?? 'unknown';
}
