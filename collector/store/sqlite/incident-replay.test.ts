import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type Database from 'better-sqlite3';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { alert, bytes16, NOW_US, registration, SECOND_US } from '../conformance/data.js';
import type { AlertRecord } from '../store.js';
import { writerOperations } from './engine.js';
import { openMemory } from './schema.js';

/** One thing that happens: commits go on, a transition follows from the newest one, or somebody ends an incident. */
type Step =
  | { is: 'commit' }
  | {
      is: 'transition';
      incident: number;
      firing: boolean;
      late: boolean;
      retracted: boolean;
      began: number;
      at: number;
    }
  | { is: 'by-hand'; incident: number };

const steps = fc.array(
  fc.oneof(
    fc.record({ is: fc.constant('commit' as const) }),
    {
      arbitrary: fc.record({
        is: fc.constant('transition' as const),
        incident: fc.integer({ min: 1, max: 2 }),
        firing: fc.boolean(),
        late: fc.boolean(),
        retracted: fc.boolean(),
        began: fc.integer({ min: 1, max: 3 }),
        at: fc.integer({ min: 3, max: 5 }),
      }),
      weight: 5,
    },
    fc.record({ is: fc.constant('by-hand' as const), incident: fc.integer({ min: 1, max: 2 }) }),
  ),
  { maxLength: 25 },
);

/** After so many steps the collector crashes, and says again what it had said in its last so many transitions. */
const crashes = fc.array(fc.record({ after: fc.nat(25), last: fc.nat(25) }), { maxLength: 4 });

function recordOf(step: Extract<Step, { is: 'transition' }>, position: number): AlertRecord {
  const { incident, firing, late, retracted, began, at } = step;
  const record = alert(1, incident, firing ? AlertState.FIRING : AlertState.RESOLVED, late);
  const startedAtUs = NOW_US + began * SECOND_US;
  const transitionAtUs = NOW_US + at * SECOND_US;
  return {
    ...record,
    position,
    alert: { ...record.alert, startedAtUs, transitionAtUs, retracted: !firing && retracted },
  };
}

function contents(db: Database.Database): unknown[] {
  return [
    'SELECT * FROM alerts ORDER BY alert_id',
    'SELECT * FROM incidents ORDER BY incident_row',
    'SELECT * FROM incident_events ORDER BY incident_id, event',
    'SELECT * FROM notifications ORDER BY incident_id, receiver, state',
    'SELECT alert_number FROM devices',
  ].map((query) => db.prepare(query).all());
}

function live(happened: readonly Step[], crashed: readonly { after: number; last: number }[]): unknown[] {
  const db = openMemory();
  try {
    const writer = writerOperations(db);
    writer.register(registration('d'));
    while (!writer.keepReceiversStep(['mail'], NOW_US, 0));
    const said: AlertRecord[] = [];
    let position = 1;
    for (const [index, step] of happened.entries()) {
      if (step.is === 'commit') position += 1;
      else if (step.is === 'by-hand') writer.resolveIncident(bytes16(step.incident), 'ada', '', NOW_US);
      else {
        said.push(recordOf(step, position));
        writer.appendAlerts(said.slice(-1), NOW_US);
      }
      for (const { after, last } of crashed) {
        if (after === index && last > 0) expect(writer.appendAlerts(said.slice(-last), NOW_US)).toEqual([]);
      }
    }
    return contents(db);
  } finally {
    db.close();
  }
}

it('is as if nothing had been said twice, wherever a collector crashes and whatever it says again', () => {
  fc.assert(
    fc.property(steps, crashes, (happened, crashed) => {
      expect(live(happened, crashed)).toEqual(live(happened, []));
    }),
    { seed: 20261126, numRuns: 250 },
  );
});
