import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import { beforeEach, describe, expect, it } from 'vitest';
import type { IncidentFilter, StoredIncident } from '../incidents.js';
import { EVENTS_PER_INCIDENT_MAX, EVENTS_RESERVED } from '../incidents.js';
import type { AlertRecord, Store } from '../store.js';
import { alert, bytes16, NOW_US, register, SECOND_US } from './data.js';
import type { UnderTest } from './under-test.js';

const { FIRING, RESOLVED } = AlertState;
const ALL: IncidentFilter = { openOnly: false, withRetracted: true };
const ADA = 'spiffe://example.org/operator/ada';
/** Seconds after the beginning of the tests' time. */
const at = (seconds: number) => NOW_US + seconds * SECOND_US;

function transition(deviceId: number, incident: number, state: AlertState, changes: Partial<Alert>): AlertRecord {
  const record = alert(deviceId, incident, state);
  return { ...record, alert: { ...record.alert, ...changes } };
}

/** Incidents follow from transitions, whatever order and however often these come. */
export function describeIncidents(under: UnderTest): void {
  describe('what is told of incidents', () => {
    let store: Store;
    let deviceId = 0;
    beforeEach(async () => {
      store = under.store();
      ({ deviceId } = await register(store, 'd', { name: { tenant: 'acme', device: 'd' } }));
    });
    const append = (...records: AlertRecord[]) => store.appendAlerts(records, NOW_US);
    const incident = async (id = 1) => (await store.findIncident(bytes16(id))) as StoredIncident;
    const history = async (id = 1) =>
      (await store.incidentEvents(bytes16(id))).map(({ kind, text }) => `${IncidentEventKind[kind]} ${text}`.trim());
    const firing = (changes: Partial<Alert> = {}) => transition(deviceId, 1, FIRING, changes);
    const resolved = (changes: Partial<Alert> = {}) => transition(deviceId, 1, RESOLVED, changes);

    describe('an incident', () => {
      it('follows its transitions', async () => {
        await append(firing({ startedAtUs: at(1), transitionAtUs: at(5) }));
        expect(await incident()).toMatchObject({
          deviceId,
          tenant: 'acme',
          seriesId: 1,
          startedAtUs: at(1),
          firedAtUs: at(5),
          resolvedAtUs: undefined,
          notified: true,
          retracted: false,
          acknowledgedBy: '',
          resolvedBy: '',
          alert: { number: 1, state: FIRING, rule: 'too-warm', ruleVersion: '1', labels: { team: 'ops' } },
        });
        await append(resolved({ startedAtUs: at(1), transitionAtUs: at(9) }));
        store = await under.reopen();
        expect(await incident()).toMatchObject({ resolvedAtUs: at(9), alert: { number: 2, state: RESOLVED } });
        expect(await history()).toEqual(['FIRED', 'RESOLVED']);
        expect((await store.incidentEvents(bytes16(1)))[0]).toMatchObject({ atUs: NOW_US, by: '' });
        expect(await store.findIncident(bytes16(77))).toBeUndefined();
        expect(await store.incidentEvents(bytes16(77))).toEqual([]);
      });

      it('is the same after a replay of all of its transitions, of their end, and of one', async () => {
        const all = [
          firing({ startedAtUs: at(10), transitionAtUs: at(10) }),
          firing({ startedAtUs: at(4), transitionAtUs: at(4), late: true }),
          resolved({ startedAtUs: at(4), transitionAtUs: at(50) }),
          resolved({ startedAtUs: at(4), transitionAtUs: at(25), late: true }),
        ];
        expect(await append(...all)).toHaveLength(4);
        const [before, events] = [await incident(), await history()];
        expect(before).toMatchObject({ startedAtUs: at(4), firedAtUs: at(4), resolvedAtUs: at(25), notified: true });
        expect(events).toEqual([
          'FIRED',
          `CORRECTED it began at ${iso(4)}, not at ${iso(10)}`,
          'RESOLVED',
          `CORRECTED it ended at ${iso(25)}, not at ${iso(50)}`,
        ]);
        for (const replay of [all, all.slice(2), all.slice(0, 1), all.slice(1, 2), all.slice(2, 3)]) {
          expect(await append(...replay)).toEqual([]);
          expect(await incident()).toEqual(before);
          expect(await history()).toEqual(events);
        }
      });

      it('keeps the earliest beginning that it was told', async () => {
        await append(firing({ startedAtUs: at(5) }), firing({ startedAtUs: at(7), late: true }));
        expect(await incident()).toMatchObject({ startedAtUs: at(5), alert: { startedAtUs: at(5) } });
      });

      it('has an end that moves and moves back, as often as later commits say so', async () => {
        const end = (seconds: number, position: number): AlertRecord => ({
          ...resolved({ transitionAtUs: at(seconds), late: true }),
          position,
        });
        await append({ ...firing(), position: 1 }, end(50, 2), end(25, 3));
        // Of earlier commits: a replay.
        expect(await append(end(50, 2), end(25, 3))).toEqual([]);
        expect(await incident()).toMatchObject({ resolvedAtUs: at(25) });
        expect(await append(end(50, 4))).toHaveLength(1);
        expect(await append(end(50, 5))).toEqual([]);
        expect(await incident()).toMatchObject({ resolvedAtUs: at(50) });
        // Whoever lags behind does not know better, except of an earlier beginning.
        await append(end(33, 2));
        expect(await append({ ...firing({ startedAtUs: at(-9), late: true }), position: 1 })).toHaveLength(1);
        expect(await incident()).toMatchObject({ startedAtUs: at(-9), resolvedAtUs: at(50) });
        expect(await history()).toEqual([
          'FIRED',
          'RESOLVED late',
          `CORRECTED it ended at ${iso(25)}, not at ${iso(50)}`,
          `CORRECTED it ended at ${iso(50)}, not at ${iso(25)}`,
          `CORRECTED it began at ${iso(-9)}, not at ${iso(1)}`,
        ]);
      });

      it('is retracted, and is one after all when late readings say so', async () => {
        await append(firing(), resolved({ transitionAtUs: at(8), retracted: true }));
        expect(await incident()).toMatchObject({ retracted: true, resolvedAtUs: at(8) });
        expect((await store.readIncidents({ ...ALL, withRetracted: false }, '', 10)).incidents).toEqual([]);
        await append(firing({ late: true }));
        expect(await incident()).toMatchObject({ retracted: false, resolvedAtUs: undefined });
        await append(resolved({ transitionAtUs: at(8), late: true }));
        expect(await incident()).toMatchObject({ retracted: false, resolvedAtUs: at(8) });
        expect(await history()).toEqual([
          'FIRED',
          'RETRACTED',
          'CORRECTED it is an incident after all',
          'RESOLVED late',
        ]);
      });

      it('that was late is told when it goes on now', async () => {
        await append(firing({ late: true }));
        expect(await incident()).toMatchObject({ notified: false });
        expect(await append(firing())).toMatchObject([{ alert: { number: 1 } }]);
        expect(await incident()).toMatchObject({ notified: true, resolvedAtUs: undefined });
        expect(await history()).toEqual(['FIRED late', 'FIRED']);
      });

      it('tells when its device has stored it, once', async () => {
        await append(firing(), resolved());
        await store.acknowledgeAlerts(deviceId, 1, at(100));
        await store.acknowledgeAlerts(deviceId, 1, at(101));
        expect(await history()).toEqual(['FIRED', 'RESOLVED', 'DELIVERED firing']);
        await store.acknowledgeAlerts(deviceId, 2, at(102));
        const [, , , delivered] = await store.incidentEvents(bytes16(1));
        expect(delivered).toEqual({ kind: IncidentEventKind.DELIVERED, atUs: at(102), by: '', text: 'resolved' });
      });

      it('tells so of however many alerts a device acknowledges at once', async () => {
        await append(
          ...Array.from({ length: 1500 }, (_, one) => transition(deviceId, 0, FIRING, { incidentId: numbered(one) })),
        );
        await store.acknowledgeAlerts(deviceId, 1500, NOW_US);
        expect(await store.incidentEvents(numbered(1499))).toHaveLength(2);
        expect((await register(store, 'd', { name: { tenant: 'acme', device: 'd' } })).alertCursor).toBe(1500);
      });
    });

    describe('what people do', () => {
      const note = (kind: IncidentEventKind.ACKNOWLEDGED | IncidentEventKind.COMMENTED, text: string, by = ADA) =>
        store.noteIncident(bytes16(1), { kind, atUs: at(60), by, text });

      it('is acknowledged by the first who does', async () => {
        expect(await note(IncidentEventKind.ACKNOWLEDGED, '')).toBe('unknown');
        await append(firing());
        expect(await note(IncidentEventKind.ACKNOWLEDGED, 'on my way')).toBe('noted');
        expect(await note(IncidentEventKind.ACKNOWLEDGED, '', 'somebody else')).toBe('known');
        expect(await incident()).toMatchObject({ acknowledgedBy: ADA, acknowledgedAtUs: at(60) });
        await append(resolved());
        expect(await note(IncidentEventKind.ACKNOWLEDGED, '')).toBe('known');
        expect(await history()).toEqual(['FIRED', 'ACKNOWLEDGED on my way', 'RESOLVED']);
        await append(transition(deviceId, 2, FIRING, {}), transition(deviceId, 2, RESOLVED, {}));
        const late = { kind: IncidentEventKind.ACKNOWLEDGED as const, atUs: 0, by: ADA, text: '' };
        expect(await store.noteIncident(bytes16(2), late)).toBe('over');
      });

      it('is commented, until there are too many comments, which leave room for what matters', async () => {
        await append(firing());
        const room = EVENTS_PER_INCIDENT_MAX - EVENTS_RESERVED - 1;
        for (let one = 0; one < room; one++) await note(IncidentEventKind.COMMENTED, 'still here');
        expect(await note(IncidentEventKind.COMMENTED, 'one more')).toBe('full');
        expect(await note(IncidentEventKind.ACKNOWLEDGED, 'seen')).toBe('noted');
        await append(resolved());
        expect((await history()).slice(-2)).toEqual(['ACKNOWLEDGED seen', 'RESOLVED']);
        expect((await incident()).events).toBe(room + 3);
        await append(firing({ startedAtUs: at(-5), late: true }));
        // Counted, so that nobody takes the history for whole.
        expect((await incident()).events).toBe((await history()).length + 1);
      });

      it('is resolved by hand, and what the rule says of its end afterwards changes nothing', async () => {
        expect(await store.resolveIncident(bytes16(1), ADA, '', at(60))).toEqual({ outcome: 'unknown' });
        await append(firing());
        expect(await store.resolveIncident(bytes16(1), ADA, 'the sensor is broken', at(60))).toMatchObject({
          outcome: 'resolved',
          deviceId,
          alert: { number: 2, state: RESOLVED, transitionAtUs: at(60), late: false },
        });
        expect((await store.readAlerts(deviceId, 1, 10)).map(({ state }) => state)).toEqual([RESOLVED]);
        expect(await store.resolveIncident(bytes16(1), ADA, '', at(61))).toEqual({ outcome: 'over' });
        const shown = { resolvedAtUs: at(60), resolvedBy: ADA };
        expect(await incident()).toMatchObject(shown);
        for (let time = 0; time < 2; time++) expect(await append(resolved({ transitionAtUs: at(90) }))).toEqual([]);
        await append(resolved({ transitionAtUs: at(80), late: true }), firing({ startedAtUs: at(-3), late: true }));
        expect(await incident()).toMatchObject({ ...shown, startedAtUs: at(-3) });
        expect((await history()).slice(0, 3)).toEqual([
          'FIRED',
          'RESOLVED_BY_HAND the sensor is broken',
          'RESOLVED by its readings too, after it was resolved by hand',
        ]);
        expect((await history()).slice(3)).toEqual([
          `CORRECTED it ended at ${iso(80)} by its readings`,
          `CORRECTED it began at ${iso(-3)}, not at ${iso(1)}`,
        ]);
      });

      it('is resolved by hand without a word to anybody, where nobody was told', async () => {
        await append(firing({ late: true }));
        const { alert: told } = (await store.resolveIncident(bytes16(1), ADA, '', at(60))) as { alert: Alert };
        expect(told).toMatchObject({ number: 0, late: true });
        expect(await append(firing())).toEqual([]);
        expect(await incident()).toMatchObject({ notified: false, resolvedAtUs: at(60) });
        expect(await store.readAlerts(deviceId, 0, 10)).toEqual([]);
      });

      it('can resolve by hand what late readings have opened again', async () => {
        await append(firing(), resolved({ retracted: true }), firing({ late: true }));
        expect(await store.resolveIncident(bytes16(1), ADA, '', at(60))).toMatchObject({ alert: { number: 0 } });
        expect(await incident()).toMatchObject({ resolvedBy: ADA });
      });
    });

    describe('incidents', () => {
      it('are listed newest first, in pages, by device, series, rule, id, time and whether they are over', async () => {
        const other = (await register(store, 'other')).deviceId;
        for (let one = 1; one <= 4; one++) {
          await append(
            transition(deviceId, one, FIRING, { rule: one === 4 ? 'too-cold' : 'too-warm' }),
            transition(other, 10 + one, FIRING, {}),
          );
        }
        await append(transition(deviceId, 2, RESOLVED, { transitionAtUs: at(20) }));
        const ids = async (filter: Partial<IncidentFilter>, limit = 10) => {
          const found: number[] = [];
          let after = '';
          do {
            const { incidents, next } = await store.readIncidents({ ...ALL, ...filter }, after, limit);
            found.push(...incidents.map(({ incidentId }) => incidentId[0]));
            after = next;
          } while (after !== '');
          return found;
        };
        expect(await ids({})).toEqual([14, 4, 13, 3, 12, 2, 11, 1]);
        expect(await ids({ deviceId }, 1)).toEqual([4, 3, 2, 1]);
        expect(await ids({ deviceId, openOnly: true }, 2)).toEqual([4, 3, 1]);
        expect(await ids({ deviceId, rule: 'too-w*' }, 2)).toEqual([3, 2, 1]);
        expect(await ids({ seriesId: 2 })).toEqual([]);
        expect(await ids({ deviceId, seriesId: 1, rule: 'too-cold' })).toEqual([4]);
        expect(await ids({ range: { fromUs: at(21), untilUs: at(100) }, deviceId })).toEqual([4, 3, 1]);
        expect(await ids({ range: { fromUs: at(0), untilUs: at(3) }, deviceId })).toEqual([2, 1]);
        const hex = Buffer.from(bytes16(3)).toString('hex');
        expect(await ids({ idPrefix: hex })).toEqual([3]);
        expect(await ids({ idPrefix: hex.slice(0, 9) })).toEqual([3]);
        expect(await ids({ idPrefix: `${hex.slice(0, 31)}${hex[31] === '0' ? '1' : '0'}` })).toEqual([]);
      });

      it('expire with all that is known of them, but not while they fire', async () => {
        await append(firing(), resolved({ transitionAtUs: at(5) }), transition(deviceId, 2, FIRING, { late: true }));
        await store.keepReceivers(['mail'], NOW_US, 0);
        expect((await store.expireDerived(0, at(1000))).alerts).toBe(2);
        expect(await store.findIncident(bytes16(1))).toBeUndefined();
        expect(await store.incidentEvents(bytes16(1))).toEqual([]);
        expect((await store.readIncidents(ALL, '', 10)).incidents).toHaveLength(1);
      });
    });
  });
}

function iso(seconds: number): string {
  return new Date(at(seconds) / 1000).toISOString();
}

function numbered(incident: number): Uint8Array {
  const id = bytes16(1);
  new DataView(id.buffer).setUint32(8, incident);
  return id;
}
