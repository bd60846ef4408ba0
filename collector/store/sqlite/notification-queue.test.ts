import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { expect, it } from 'vitest';
import { alert, NOW_US, registration } from '../conformance/data.js';
import { AlertAppend } from './alert-append.js';
import { DeviceCache } from './device-cache.js';
import { IncidentEvents } from './incident-events.js';
import { IncidentTable } from './incident-table.js';
import { NotificationClaims } from './notification-claims.js';
import { NotificationQueue } from './notification-queue.js';
import { Registrar } from './registration.js';
import { openMemory } from './schema.js';

const { FIRING, RESOLVED } = AlertState;

function queueOf(lengthMax: number) {
  const db = openMemory();
  new Registrar(db, new DeviceCache(db)).register(registration('d'));
  const events = new IncidentEvents(db);
  const queue = new NotificationQueue(db, lengthMax);
  const append = new AlertAppend(db, new IncidentTable(db, events), events, queue);
  const claims = new NotificationClaims(db, queue, events);
  while (!queue.keepReceiversStep(['mail'], NOW_US, 0));
  let nowUs = NOW_US;
  return {
    add: (incident: number, state: AlertState) => append.append([alert(1, incident, state)], ++nowUs),
    state: () => queue.states()[0],
    /** What the receiver is told, until nothing is due any more. */
    told: () => {
      const words: string[] = [];
      for (;;) {
        const { notifications } = claims.claim('mail', ++nowUs, 1e6, 10);
        if (notifications.length === 0) return words;
        for (const one of notifications) {
          words.push(`${one.incidentId[0]} ${AlertState[one.state]}`);
          claims.settle(one, { outcome: 'told' }, nowUs);
        }
      }
    },
  };
}

it('gives up the incident that has been over for longest when a receiver is too far behind, and counts it', () => {
  const { add, state, told } = queueOf(4);
  for (const [incident, transition] of [
    [1, FIRING],
    [2, FIRING],
    [2, RESOLVED],
    [3, FIRING],
    [4, FIRING],
  ] as const) {
    add(incident, transition);
  }
  expect(state()).toMatchObject({ length: 3, dropped: 2 });
  expect(told()).toEqual(['1 FIRING', '3 FIRING', '4 FIRING']);
});

it('gives up the incident that began first when none is over', () => {
  const { add, state, told } = queueOf(3);
  for (const incident of [1, 2, 3, 4, 5]) add(incident, FIRING);
  expect(state()).toMatchObject({ length: 3, dropped: 2 });
  expect(told()).toEqual(['3 FIRING', '4 FIRING', '5 FIRING']);
  // Its end is told all the same, though nobody heard of its beginning.
  add(1, RESOLVED);
  expect(told()).toEqual(['1 RESOLVED']);
});

it('does not count as lost what the receiver had taken', () => {
  const { add, state, told } = queueOf(2);
  add(1, FIRING);
  add(2, FIRING);
  told();
  add(3, FIRING);
  expect(state()).toMatchObject({ length: 2, dropped: 0 });
});
