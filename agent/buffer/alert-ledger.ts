import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { AlertsStored, IntentOutcome, NewIntent, StoredStatus } from './alert-table.js';
import type { CountedRows } from './counted-rows.js';

/** Bounded memory of what was seen: at a transition a minute this is a week. */
const ALERTS_MAX = 10_000;

/** Evidence of what was done, some 60 bytes each: as far back as a person asks. */
const SETTLED_MAX = 1_024;

/** Late transitions have a key of their own: they must not stand in the way of the one that is acted on. */
const LATE = 0x80;

/**
 * Stores alerts, and for those that were not stored before what is to be done about them; the cursor moves to the highest
 * number. In the open transaction.
 */
export function storeAlerts(
  { table: { alerts: rows }, state }: CountedRows,
  alerts: readonly Alert[],
  intents: readonly NewIntent[],
): AlertsStored {
  const ids = alerts.map((alert) => {
    state.alertCursor = Math.max(state.alertCursor, alert.number);
    const key = alert.late ? LATE + alert.state : alert.state;
    return rows.has(alert.incidentId, key) ? 0 : rows.put(alert.incidentId, key, alert.number, ALERTS_MAX);
  });
  return {
    fresh: [...ids.keys()].filter((at) => ids[at] !== 0),
    intents: intents.map(({ alert, ...intent }) => {
      const id = ids[alert] ?? 0;
      return id === 0 ? 0 : rows.putIntent(id, intent, SETTLED_MAX);
    }),
  };
}

/** Writes down what became of intents, and the statuses that this has set. In the open transaction. */
export function settleIntents(
  { table: { alerts: rows } }: CountedRows,
  outcomes: readonly IntentOutcome[],
  statuses: readonly StoredStatus[],
): void {
  for (const outcome of outcomes) rows.settle(outcome);
  for (const status of statuses) rows.putStatus(status);
}
