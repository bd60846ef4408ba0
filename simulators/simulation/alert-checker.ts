import type { SavedDeviceLine } from '@tributary/collector/rules/device-line';
import type { StoredIncident } from '@tributary/collector/store/incidents';
import type { Store } from '@tributary/collector/store/store';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { readDevice, type Told, type TrueIncident, trueIncidents } from './alert-truth.js';
import { COMPILED_SIM_RULES, DECIDED_BY_READING } from './sim-rules.js';
import type { StoredItem } from './sim-store.js';
import { Violation } from './violation.js';

/** More than any device of a simulation has. */
const ALL = 100_000;

/**
 * Holds what is recorded of incidents against the truth that all stored readings show: each incident once, none missing, none
 * that is none; nobody told of history as if it were now; and the end of what was told is told.
 */
export async function checkAlerts(store: Store, stored: readonly StoredItem[]): Promise<number> {
  let incidents = 0;
  for (const { deviceId, device } of await store.listDevices(0, ALL)) {
    const own = stored.filter((one) => one.device === device);
    const { incidents: recorded } = await store.readIncidents(
      { deviceId, openOnly: false, withRetracted: true },
      '',
      ALL,
    );
    incidents += recorded.length;
    compare(device, own, recorded, await toldTo(store, deviceId));
    await checkTold(store, deviceId, device, own, recorded);
  }
  return incidents;
}

/** What watermarks have said is stored nowhere but with what rules know. */
async function toldTo(store: Store, deviceId: number): Promise<Told> {
  const rows = await store.loadRuleStates({ deviceId, rule: '' });
  const saved = rows.find(({ seriesId }) => seriesId === 0)?.state;
  const { epochs } = (saved === undefined ? { line: { epochs: [] } } : JSON.parse(saved)).line as SavedDeviceLine;
  const told = new Map(epochs.flatMap(([epoch, line]) => line.told.map(([first, us]) => [`${epoch}/${first}`, us])));
  return (epoch, first) => told.get(`${epoch}/${first}`) ?? Number.NEGATIVE_INFINITY;
}

function compare(device: string, stored: readonly StoredItem[], recorded: readonly StoredIncident[], told: Told): void {
  const readings = readDevice(stored, told);
  for (const rule of COMPILED_SIM_RULES) {
    for (const { incidents, series, untilUs } of trueIncidents(rule, device, readings)) {
      // Behind the last reading only watermarks say what happened, and they are not stored.
      const seen = (one: TrueIncident) => one.firedAtUs < untilUs;
      const known = recorded
        .filter(({ retracted, alert }) => !retracted && alert.rule === rule.name)
        .filter(({ alert }) => series === '' || alert.seriesName === series)
        .map(({ alert, startedAtUs, firedAtUs, resolvedAtUs }): TrueIncident => {
          return { rule: rule.name, series: alert.seriesName, startedAtUs, firedAtUs, resolvedAtUs };
        });
      const words = (one: TrueIncident) => {
        const endUs = one.resolvedAtUs !== undefined && one.resolvedAtUs < untilUs ? one.resolvedAtUs : '';
        return `${one.rule} ${one.series} ${one.startedAtUs} ${one.firedAtUs} ${endUs}`;
      };
      const right = incidents.filter(seen).map(words);
      const is = known.filter(seen).map(words);
      const missing = right.filter((one) => !is.includes(one));
      const wrong = is.filter((one, at) => !right.includes(one) || is.indexOf(one) !== at);
      if (missing.length + wrong.length === 0) continue;
      const detail = `${device}: not recorded [${missing.join(', ')}], recorded and not true [${wrong.join(', ')}]`;
      throw new Violation('I7', detail, { device });
    }
  }
}

async function checkTold(
  store: Store,
  deviceId: number,
  device: string,
  stored: readonly StoredItem[],
  recorded: readonly StoredIncident[],
): Promise<void> {
  const told = await store.readAlerts(deviceId, 0, ALL);
  const keys = new Set<string>();
  const { readings } = readDevice(stored);
  const liveTimes = new Set(readings.filter(({ isLive }) => isLive).map(({ timeUs }) => timeUs));
  for (const { incidentId, state, rule, transitionAtUs } of told) {
    const key = `${idOf(incidentId)} ${state}`;
    if (keys.has(key))
      throw new Violation('I7', `${device} was told twice of ${rule} ${AlertState[state]}`, { device });
    keys.add(key);
    if (state !== AlertState.FIRING || !DECIDED_BY_READING.has(rule) || liveTimes.has(transitionAtUs)) continue;
    const detail = `${device} was told of ${rule} at ${transitionAtUs} us, which no live reading has decided`;
    throw new Violation('I7', detail, { device });
  }
  for (const { incidentId, resolvedAtUs, alert } of recorded) {
    const id = idOf(incidentId);
    if (resolvedAtUs === undefined || !keys.has(`${id} ${AlertState.FIRING}`)) continue;
    if (keys.has(`${id} ${AlertState.RESOLVED}`)) continue;
    throw new Violation('I7', `${device} was told of ${alert.rule}, and not of its end at ${resolvedAtUs} us`, {
      device,
    });
  }
}

function idOf(incidentId: Uint8Array): string {
  return Buffer.from(incidentId).toString('hex');
}
