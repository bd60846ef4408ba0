import { writeSync } from 'node:fs';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import {
  alert,
  batch,
  batches,
  bytes16,
  declaration,
  NOW_US,
  part,
  READINGS,
  registration,
  rollupOf,
  rollups,
  thinned,
} from '../conformance/data.js';
import { packCommit } from '../packed-commit.js';
import type { CheckedItem, RegisteredDevice } from '../store.js';
import { writerOperations } from './engine.js';
import { packRollups } from './rollups.js';
import { openWriter } from './schema.js';

/*
 * A collector's writer that goes through the life of a store, and says after each step that it is done. With a point it
 * kills itself there, in the middle of a transaction: the n-th time that the change is made to the table, or right after
 * the n-th commit, before anybody is told. Everything is sent again from the beginning, as a device does that was not
 * answered.
 */

const [path, change = '', table = '', nth = '0'] = process.argv.slice(2);

const db = openWriter(path);
let left = Number(nth);
const pass = () => {
  if (--left === 0) process.kill(process.pid, 'SIGKILL');
  return 0;
};
if (change !== '' && change !== 'answer') {
  db.function('pass_point', pass);
  db.exec(`CREATE TEMP TRIGGER point AFTER ${change} ON ${table} BEGIN SELECT pass_point(); END`);
}

const writer = writerOperations(db);
const outcome = writer.register(registration('d'));
if (outcome.outcome !== 'registered') throw new Error(outcome.detail);
const device: RegisteredDevice = outcome.device;
const { deviceId } = device;

const done = (step: string) => writeSync(1, `${step}\n`);

function commit(items: readonly CheckedItem[]): void {
  const { outcomes } = writer.commit(packCommit([part(device, items)], NOW_US));
  if (change === 'answer') pass();
  const last = items[items.length - 1].sequence;
  if (outcomes.some((one) => one > 1)) throw new Error(`an item up to ${last} was refused`);
  done(`durable ${last}`);
}

for (let sequence = 1; sequence <= 12; sequence++) commit([batch(sequence)]);
// 13 to 15 are thinned to 6 readings, 16 was evicted, 17 is a gap until the end.
commit([...batches(18, 20), thinned(21, 200, 6, [[13, 15, 24]])]);
commit([declaration(22, 200, [{ first: 16, last: 16, readings: READINGS }]), batch(23, { readingsBefore: 200 })]);
commit([batch(17)]);
while (!writer.keepReceiversStep(['mail'], NOW_US, 0));
const late = (incident: number, state: AlertState, startedAtUs: number, transitionAtUs: number) => {
  const record = alert(deviceId, incident, state, true);
  return { ...record, alert: { ...record.alert, startedAtUs, transitionAtUs } };
};
const transitions = [
  alert(deviceId, 1, AlertState.FIRING),
  alert(deviceId, 1, AlertState.RESOLVED),
  alert(deviceId, 2, AlertState.FIRING),
  late(1, AlertState.RESOLVED, NOW_US + 1e6, NOW_US + 5e6),
  late(3, AlertState.FIRING, 1, 1),
  late(3, AlertState.RESOLVED, 1, 2),
];
writer.appendAlerts(transitions.slice(0, 4), NOW_US);
writer.appendAlerts(transitions.slice(4), NOW_US);
done('alerts');
const acknowledgement = { kind: IncidentEventKind.ACKNOWLEDGED as const, atUs: NOW_US, by: 'ada', text: '' };
writer.noteIncident(bytes16(2), acknowledgement);
writer.resolveIncident(bytes16(2), 'ada', '', NOW_US);
while (!writer.acknowledgeAlertsStep(deviceId, 4, NOW_US));
done('noted');
// Whoever tells people of it takes until nothing is due.
for (let nowUs = NOW_US; ; nowUs += 1e9) {
  const { notifications, nextDueUs } = writer.claimNotifications('mail', nowUs, 1e6, 10);
  for (const one of notifications) {
    const text = one.state === AlertState.FIRING ? 'mail: firing' : 'mail: resolved';
    const note = { kind: IncidentEventKind.NOTIFIED as const, atUs: NOW_US, by: '', text };
    writer.settleNotification(one, { outcome: 'told', note }, nowUs);
    done(`told ${one.incidentId[0]} ${text}`);
  }
  if (notifications.length === 0 && nextDueUs === undefined) break;
}
const columns = rollups([{ ...rollupOf(deviceId, 0, [[0, 1]]), seriesId: 1 }]);
const position = db.prepare<[number], number>('SELECT position FROM devices WHERE device_id = ?').pluck().get(deviceId);
const mark = db.prepare<[number], number>('SELECT derived_mark FROM devices WHERE device_id = ?').pluck().get(deviceId);
// Rollups and their mark are one transaction: what the mark covers is not added again.
if (mark === 0) {
  writer.saveDerived({
    marks: [{ deviceId, position: position as number }],
    rollups: packRollups(columns),
    ruleStates: [{ deviceId, seriesId: 1, rule: 'r', state: 's' }],
  });
}
done('derived');
writer.compactStep(undefined);
done('compacted');
writer.expireStep(batch(15).lastUs + 1, undefined);
done('expired');
writer.expireIncidentsStep(3, 0);
done('incidents expired');
db.close();
