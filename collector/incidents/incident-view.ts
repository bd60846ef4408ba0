import type { Incident } from '@tributary/proto/gen/tributary/v1/incident';
import { ActiveSilences } from '../alerts/active-silences.js';
import { type AlertLabels, alertLabels } from '../alerts/matchers.js';
import type { StoredIncident } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { incidentsWithoutData, type RuleStateSource } from './rule-states.js';

/** What an incident's view asks of others. */
export interface IncidentContext {
  store: Pick<Store, 'activeSilences'>;
  /** Ids of the incidents that keep one from being notified now; absent where nothing inhibits. */
  inhibitedBy?: (incident: StoredIncident, labels: AlertLabels) => Promise<readonly Uint8Array[]>;
  /** Absent where this process evaluates no rules. */
  rules?: RuleStateSource;
}

/** Incidents as they are shown, with what holds of each at this moment. */
export async function incidentViews(
  { store, inhibitedBy, rules }: IncidentContext,
  incidents: readonly StoredIncident[],
  nowUs: number,
): Promise<Incident[]> {
  const isAnyOpen = incidents.some(isOpen);
  const silences = new ActiveSilences(isAnyOpen ? await store.activeSilences(nowUs) : []);
  const withoutData = new Map<number, Set<string>>();
  const isDataMissing = ({ deviceId, incidentId }: StoredIncident): boolean => {
    if (rules === undefined) return false;
    let ofDevice = withoutData.get(deviceId);
    if (ofDevice === undefined) {
      ofDevice = incidentsWithoutData(rules.ruleStates(deviceId));
      withoutData.set(deviceId, ofDevice);
    }
    return ofDevice.has(Buffer.from(incidentId).toString('hex'));
  };
  const views: Incident[] = [];
  for (const incident of incidents) {
    const view = plainView(incident);
    if (isOpen(incident)) {
      const labels = alertLabels(incident.alert, incident.tenant);
      view.silencedBy = silences.silencing(labels)?.by ?? [];
      view.inhibitedBy = [...((await inhibitedBy?.(incident, labels)) ?? [])];
      view.dataMissing = isDataMissing(incident);
    }
    views.push(view);
  }
  return views;
}

function isOpen({ resolvedAtUs }: StoredIncident): boolean {
  return resolvedAtUs === undefined;
}

function plainView(incident: StoredIncident): Incident {
  const { incidentId, alert, startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, tenant } = incident;
  const { acknowledgedBy, acknowledgedAtUs, resolvedBy } = incident;
  return {
    incidentId,
    alert,
    startedAtUs,
    firedAtUs,
    resolvedAtUs,
    notified,
    retracted,
    acknowledgedBy,
    acknowledgedAtUs,
    silencedBy: [],
    inhibitedBy: [],
    dataMissing: false,
    tenant,
    resolvedBy,
  };
}
