import { writeSync } from 'node:fs';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import {
  alert,
  batch,
  batches,
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
writer.appendAlerts([alert(deviceId, 1, AlertState.FIRING), alert(deviceId, 1, AlertState.RESOLVED)], NOW_US);
done('alerts');
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
db.close();
