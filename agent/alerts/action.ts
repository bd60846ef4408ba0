import { glob } from '@tributary/core/rules/glob';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { labelsOf, stateName } from './alert-state.js';
import type { AlertActionConfig } from './schema.js';
import type { Rate } from './token-bucket.js';

/** One in two seconds: no relay and no person follows faster, and a flapping sensor must not wear either out. */
const RATE_DEFAULT: Rate = { count: 30, perMs: 60_000 };

/** A link that was down for a moment delays no action; after five minutes the world may have changed. */
const AGE_DEFAULT_MS = 300_000;

/** When an action is due, and within which limits; not what it does. */
export interface ActionPolicy {
  name: string;
  kind: 'run' | 'write' | 'status';
  /** Whether it is about an alert, going by its rule, severity, series, labels and state. */
  matches(alert: Alert): boolean;
  /** Also when an incident that was told is found never to have been. */
  takesRetracted: boolean;
  onCrash: 'skip' | 'repeat';
  /** Nothing is done about a transition that is older. */
  maxAgeMs: number;
  /** Undefined for no limit. */
  rate: Rate | undefined;
  concurrentMax: number;
}

/** Undefined for an action that only logs. */
export function actionPolicy(config: AlertActionConfig): ActionPolicy | undefined {
  const { name, run, write, status, onCrash = 'skip', maxActionAge = AGE_DEFAULT_MS, rateLimit } = config;
  const matches = alertMatcher(config.match);
  if (status !== undefined) {
    // It moves nothing: a status that is behind the incidents would be wrong, however old they are, and it is set in the
    // transaction that says that it was.
    const unlimited = { maxAgeMs: Number.POSITIVE_INFINITY, rate: undefined, concurrentMax: 1 };
    return { name, kind: 'status', matches, takesRetracted: true, onCrash: 'repeat', ...unlimited };
  }
  const kind = run !== undefined ? 'run' : write !== undefined ? 'write' : undefined;
  if (kind === undefined) return undefined;
  const rate = rateLimit === undefined ? RATE_DEFAULT : { count: rateLimit.count, perMs: rateLimit.per };
  const takesRetracted = config.match.states?.includes('retracted') ?? false;
  const concurrentMax = run?.maxConcurrent ?? 1;
  return { name, kind, matches, takesRetracted, onCrash, maxAgeMs: maxActionAge, rate, concurrentMax };
}

/** Whether an alert is one of those that a configuration means. */
export function alertMatcher(match: AlertActionConfig['match']): (alert: Alert) => boolean {
  const rule = glob(match.rule ?? '*');
  const severity = glob(match.severity ?? '*');
  const series = glob(match.series ?? '*');
  const labels = Object.entries(match.labels).map(([name, pattern]) => [name, glob(pattern)] as const);
  const { states } = match;
  return (alert) => {
    if (!rule(alert.rule) || !severity(alert.severity) || !series(alert.seriesName)) return false;
    if (states !== undefined && !states.some((state) => isIn(state, alert))) return false;
    if (labels.length === 0) return true;
    const its = labelsOf(alert);
    return labels.every(([name, matches]) => {
      const value = its.get(name);
      return value !== undefined && matches(value);
    });
  };
}

function isIn(state: 'firing' | 'resolved' | 'retracted', alert: Alert): boolean {
  return state === 'retracted' ? alert.retracted : state === stateName(alert.state);
}
