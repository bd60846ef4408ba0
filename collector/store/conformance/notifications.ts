import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind, type Silence } from '@tributary/proto/gen/tributary/v1/incident';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ClaimedNotification, type Settlement, SILENCES_MAX } from '../incidents.js';
import type { Store } from '../store.js';
import { alert, bytes16, NOW_US, register, SECOND_US } from './data.js';
import type { UnderTest } from './under-test.js';

const { FIRING, RESOLVED } = AlertState;
const LEASE_US = 30 * SECOND_US;
const at = (seconds: number) => NOW_US + seconds * SECOND_US;

/** What waits for receivers, and silences. */
export function describeNotifications(under: UnderTest): void {
  describe('what is told to people', () => {
    let store: Store;
    let deviceId = 0;
    beforeEach(async () => {
      store = under.store();
      ({ deviceId } = await register(store, 'd'));
    });
    const append = (incident: number, state: AlertState, changes: { late?: boolean } = {}) =>
      store.appendAlerts([alert(deviceId, incident, state, changes.late)], NOW_US);
    const claim = async (receiver: string, seconds: number, limit = 10) =>
      (await store.claimNotifications(receiver, at(seconds), LEASE_US, limit)).notifications;
    const settle = (one: ClaimedNotification, settlement: Settlement, seconds: number) =>
      store.settleNotification(one, settlement, at(seconds));
    const words = (claimed: readonly ClaimedNotification[]) =>
      claimed.map(({ incidentId, state }) => `${incidentId[0]} ${AlertState[state]}`);
    const told = (text: string): Settlement => ({
      outcome: 'told',
      note: { kind: IncidentEventKind.NOTIFIED, atUs: NOW_US, by: '', text },
    });

    describe('a notification', () => {
      it('is each transition that is not late, for each receiver, the end after the beginning', async () => {
        await store.keepReceivers(['mail', 'pager'], NOW_US, 0);
        await append(1, FIRING);
        await append(1, RESOLVED);
        await append(2, FIRING, { late: true });
        store = await under.reopen();
        const [first] = await claim('mail', 0);
        expect(first).toMatchObject({ state: FIRING, attempts: 0, told: false, alert: { number: 1, state: FIRING } });
        expect(first.incident).toMatchObject({ resolvedAtUs: NOW_US + SECOND_US, alert: { number: 2 } });
        expect(await claim('mail', 1)).toEqual([]);
        expect(await settle(first, told('mail: firing'), 1)).toBe(true);
        const [second] = await claim('mail', 1);
        expect(second).toMatchObject({ state: RESOLVED, firingTold: true, alert: { number: 2, state: RESOLVED } });
        await settle(second, told('mail: resolved'), 2);
        expect(await claim('mail', 1000)).toEqual([]);
        expect(words(await claim('pager', 1))).toEqual(['1 FIRING']);
        const events = await store.incidentEvents(bytes16(1));
        expect(events.slice(2).map(({ text }) => text)).toEqual(['mail: firing', 'mail: resolved']);
      });

      it('belongs to who claimed it until the lease ends, and then to the next', async () => {
        await store.keepReceivers(['mail'], NOW_US, 0);
        await append(1, FIRING);
        const { notifications, nextDueUs } = await store.claimNotifications('mail', NOW_US, LEASE_US, 10);
        expect(nextDueUs).toBe(NOW_US + LEASE_US);
        const [again] = await claim('mail', 31);
        expect(words([again])).toEqual(['1 FIRING']);
        expect(await settle(notifications[0], { outcome: 'told' }, 32)).toBe(false);
        expect(await settle(again, { outcome: 'told' }, 32)).toBe(true);
        expect(await settle(again, { outcome: 'told' }, 33)).toBe(false);
        expect(await claim('mail', 1000)).toEqual([]);
        // The beginning stays known until the incident is over.
        expect(await store.receiverStates()).toEqual([
          { receiver: 'mail', length: 1, oldestUs: undefined, dropped: 0 },
        ]);
      });

      it('that failed comes again when it was asked for, with its attempts counted, and holds up its end alone', async () => {
        await store.keepReceivers(['mail'], NOW_US, 0);
        await append(1, FIRING);
        await append(2, FIRING);
        await append(1, RESOLVED);
        const [first, other] = await claim('mail', 0);
        await settle(first, { outcome: 'failed', atUs: at(60) }, 1);
        await settle(other, { outcome: 'told' }, 1);
        expect(await claim('mail', 59)).toEqual([]);
        await append(2, RESOLVED);
        expect(words(await claim('mail', 59))).toEqual(['2 RESOLVED']);
        const [retry] = await claim('mail', 60);
        expect(retry).toMatchObject({ state: FIRING, attempts: 1, told: false });
        const { nextDueUs } = await store.claimNotifications('mail', at(60), LEASE_US, 10);
        expect(nextDueUs).toBe(at(89));
      });

      it('is repeated for who asked for it, until there is an end to tell', async () => {
        await store.keepReceivers(['am'], NOW_US, 0);
        await append(1, FIRING);
        const [first] = await claim('am', 0);
        await settle(first, { outcome: 'told', againUs: at(60) }, 1);
        const [again] = await claim('am', 60);
        expect(again).toMatchObject({ state: FIRING, told: true });
        // The end comes while the repetition is under way, and waits for it.
        await append(1, RESOLVED);
        expect(await claim('am', 61)).toEqual([]);
        await settle(again, { outcome: 'failed', atUs: at(70) }, 62);
        const [end] = await claim('am', 62);
        expect(end).toMatchObject({ state: RESOLVED, firingTold: true });
        await settle(end, { outcome: 'told', againUs: at(120) }, 63);
        const [endAgain] = await claim('am', 120);
        expect(endAgain).toMatchObject({ state: RESOLVED, told: true });
        await settle(endAgain, { outcome: 'told' }, 121);
        expect(await store.receiverStates()).toMatchObject([{ length: 0 }]);
      });

      it('that nobody was to be told of lets the end say so', async () => {
        await store.keepReceivers(['mail'], NOW_US, 0);
        await append(1, FIRING);
        await append(1, RESOLVED);
        const [first] = await claim('mail', 0);
        await settle(first, { outcome: 'skipped' }, 0);
        const [end] = await claim('mail', 0);
        expect(end).toMatchObject({ state: RESOLVED, firingTold: false });
        await settle(end, { outcome: 'skipped' }, 0);
        expect(await store.receiverStates()).toMatchObject([{ length: 0 }]);
      });

      it('tells a new receiver what is open now, and nothing of what was', async () => {
        await append(1, FIRING);
        await append(1, RESOLVED);
        await append(2, FIRING);
        await append(3, FIRING, { late: true });
        await store.keepReceivers(['mail'], NOW_US, 0);
        expect(words(await claim('mail', 0))).toEqual(['2 FIRING']);
      });

      it('leaves with a receiver that nobody names any more, and stays while another process names it', async () => {
        await store.keepReceivers(['mail', 'pager'], at(0), at(-1000));
        await append(1, FIRING);
        await store.keepReceivers(['mail'], at(500), at(-500));
        expect((await store.receiverStates()).map(({ receiver }) => receiver)).toEqual(['mail', 'pager']);
        await store.keepReceivers(['mail'], at(1001), at(1));
        expect((await store.receiverStates()).map(({ receiver }) => receiver)).toEqual(['mail']);
        expect(await claim('pager', 2000)).toEqual([]);
        await append(2, FIRING);
        await store.keepReceivers(['mail', 'pager'], at(2000), at(1000));
        expect(words(await claim('pager', 2000))).toEqual(['1 FIRING', '2 FIRING']);
      });

      it('of an incident that has expired is gone', async () => {
        await store.keepReceivers(['mail'], NOW_US, 0);
        await append(1, FIRING);
        await append(1, RESOLVED);
        await store.expireDerived(0, at(1000));
        expect(await claim('mail', 0)).toEqual([]);
        expect(await store.receiverStates()).toMatchObject([{ length: 0 }]);
      });

      it('tells of what was resolved by hand', async () => {
        await store.keepReceivers(['mail'], NOW_US, 0);
        await append(1, FIRING);
        await settle((await claim('mail', 0))[0], { outcome: 'told' }, 0);
        await store.resolveIncident(bytes16(1), 'ada', '', at(5));
        await append(1, RESOLVED);
        const [end, ...more] = await claim('mail', 10);
        expect(end).toMatchObject({ state: RESOLVED, incident: { resolvedBy: 'ada' } });
        expect(more).toEqual([]);
      });
    });

    describe('a silence', () => {
      const silence: Silence = {
        silenceId: '',
        matchers: { globs: { rule: 'too-*', 'series.room': 'a' } },
        fromUs: at(10),
        untilUs: at(100),
        comment: 'the door is open',
        createdBy: 'ada',
        createdAtUs: at(0),
      };

      it('is active from its beginning until its end, listed until then, and kept for who asks', async () => {
        const created = (await store.createSilence(silence)) as Silence;
        expect(created).toEqual({ ...silence, silenceId: created.silenceId });
        store = await under.reopen();
        expect(await store.activeSilences(at(9))).toEqual([]);
        expect(await store.activeSilences(at(10))).toEqual([created]);
        expect(await store.activeSilences(at(100))).toEqual([]);
        expect((await store.listSilences(at(99), 0, 10)).silences).toEqual([created]);
        expect((await store.listSilences(at(100), 0, 10)).silences).toEqual([]);
        expect((await store.listSilences(0, 0, 10)).silences).toEqual([created]);
        await store.expireDerived(0, at(101));
        expect((await store.listSilences(0, 0, 10)).silences).toEqual([]);
      });

      it('is ended once, also before it begins, and releases what it held back', async () => {
        await store.keepReceivers(['mail'], NOW_US, 0);
        await append(1, FIRING);
        await append(2, FIRING);
        const [held, failed] = await claim('mail', 0);
        await settle(held, { outcome: 'held', atUs: at(100) }, 0);
        await settle(failed, { outcome: 'failed', atUs: at(100) }, 0);
        const [{ silenceId }, later] = await Promise.all([
          store.createSilence(silence) as Promise<Silence>,
          store.createSilence({ ...silence, fromUs: at(50) }) as Promise<Silence>,
        ]);
        expect(await store.expireSilence(silenceId, at(20))).toBe('expired');
        expect(await store.expireSilence(silenceId, at(30))).toBe('over');
        expect(await store.expireSilence('999', at(30))).toBe('unknown');
        expect(words(await claim('mail', 20))).toEqual([words([held])[0]]);
        expect(await store.expireSilence(later.silenceId, at(20))).toBe('expired');
        expect(await store.expireSilence(later.silenceId, at(20))).toBe('over');
        expect(await store.activeSilences(at(60))).toEqual([]);
      });

      it('comes in pages, the newest first, and in a bounded number', async () => {
        for (let one = 0; one < SILENCES_MAX; one++) await store.createSilence({ ...silence, comment: String(one) });
        expect(await store.createSilence(silence)).toBeUndefined();
        const first = await store.listSilences(0, 0, 600);
        const rest = await store.listSilences(0, first.next, 600);
        expect([first.silences.length, rest.silences.length, rest.next]).toEqual([600, 400, 0]);
        expect(first.silences[0].comment).toBe(String(SILENCES_MAX - 1));
      });
    });
  });
}
