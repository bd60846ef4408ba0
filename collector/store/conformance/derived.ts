import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../store.js';
import { alert, batch, batches, commit, NOW_US, register, rollupOf, rollups, SECOND_US, sequences } from './data.js';
import type { UnderTest } from './under-test.js';

/** What follows from committed data: marks, rollups, rule states, alerts. */
export function describeDerived(under: UnderTest): void {
  let store: Store;
  beforeEach(() => {
    store = under.store();
  });

  describe('digesting', () => {
    it('reads whole commits in order and remembers how far it came', async () => {
      const device = await register(store, 'd');
      for (const first of [1, 11, 21]) await commit(store, device, [...batches(first, first + 2), batch(first + 5)]);
      const { deviceId } = device;
      expect(await store.undigested()).toMatchObject([{ deviceId, position: 0 }]);
      const page = await store.readAfter(deviceId, 0, 1);
      expect(sequences(page)).toEqual([1, 2, 3, 6]);
      expect(sequences(await store.readAfter(deviceId, 1, 1e6))).toEqual([11, 12, 13, 16, 21, 22, 23, 26]);
      await store.saveDerived({ marks: [{ deviceId, position: 2 }], rollups: rollups([]), ruleStates: [] });
      store = await under.reopen();
      expect(await store.undigested()).toMatchObject([{ deviceId, position: 2 }]);
      await store.saveDerived({ marks: [{ deviceId, position: 3 }], rollups: rollups([]), ruleStates: [] });
      expect(await store.undigested()).toEqual([]);
      expect(await store.readAfter(deviceId, 3, 1e6)).toEqual([]);
    });

    it('merges rollups in any order to what all readings give at once', async () => {
      const { deviceId } = await register(store, 'd');
      const readings: [number, number][] = [
        [5, 1.5],
        [3, -2],
        [9, 40.25],
        [3, 7],
        [9, 3],
        [6, 0.5],
      ];
      const save = (rows: ReturnType<typeof rollupOf>[]) =>
        store.saveDerived({ marks: [], rollups: rollups(rows), ruleStates: [] });
      await save([rollupOf(deviceId, 60, readings.slice(4)), rollupOf(deviceId, 120, readings)]);
      await save([rollupOf(deviceId, 60, readings.slice(0, 3)), rollupOf(deviceId, 60, readings.slice(3, 4))]);
      const merged = await store.readRollups(deviceId, 1, 60, 0, 121 * SECOND_US);
      expect([...merged.start]).toEqual([60, 120]);
      for (const key of ['count', 'min', 'max', 'first', 'firstUs', 'last', 'lastUs'] as const) {
        expect([key, merged[key][0]]).toEqual([key, merged[key][1]]);
      }
      expect(merged.mean[0]).toBeCloseTo(merged.mean[1], 12);
      expect(merged.m2[0]).toBeCloseTo(merged.m2[1], 10);
      expect((await store.readRollups(deviceId, 1, 60, 61 * SECOND_US, 120 * SECOND_US)).length).toBe(0);
      expect((await store.readRollups(deviceId, 1, 900, 0, 1e15)).length).toBe(0);
      await store.clearRollups();
      expect((await store.readRollups(deviceId, 1, 60, 0, 1e15)).length).toBe(0);
    });

    it('keeps rule states, and forgets marks when rollups are cleared', async () => {
      const device = await register(store, 'd');
      const { deviceId } = device;
      await commit(store, device, [batch(1)]);
      const states = (state: string) => [{ deviceId, seriesId: 1, rule: 'r', state }];
      const marks = [{ deviceId, position: 1 }];
      await store.saveDerived({ marks, rollups: rollups([]), ruleStates: states('pending') });
      await store.saveDerived({ marks, rollups: rollups([]), ruleStates: states('firing') });
      store = await under.reopen();
      expect(await store.loadRuleStates()).toEqual(states('firing'));
      await store.clearRollups();
      expect(await store.undigested()).toMatchObject([{ deviceId, position: 0 }]);
    });

    it('answers marks and rule states of one device, and large rows by their name alone', async () => {
      const one = await register(store, 'one');
      const two = await register(store, 'two');
      for (const device of [one, two]) await commit(store, device, [batch(1)]);
      const row = (deviceId: number, rule: string) => ({ deviceId, seriesId: 0, rule, state: rule });
      const [a, b] = [one.deviceId, two.deviceId];
      const ruleStates = [row(a, ''), row(a, '#0'), row(a, 'r'), row(b, '#0'), row(b, 'r')];
      await store.saveDerived({ marks: [{ deviceId: a, position: 1, from: 0 }], rollups: rollups([]), ruleStates });
      const marks = (await store.derivedMarks()).map(({ deviceId, position }) => [deviceId, position]);
      expect(marks).toEqual([
        [a, 1],
        [b, 0],
      ]);
      expect(await store.derivedMarks(b)).toMatchObject([{ deviceId: b, position: 0 }]);
      expect(await store.derivedMarks(77)).toEqual([]);
      expect(await store.loadRuleStates()).toEqual([row(a, ''), row(a, 'r'), row(b, 'r')]);
      expect(await store.loadRuleStates({ deviceId: a })).toEqual([row(a, ''), row(a, 'r')]);
      expect(await store.loadRuleStates({ deviceId: b, rule: '#0' })).toEqual([row(b, '#0')]);
      expect(await store.loadRuleStates({ rule: 'r' })).toEqual([row(a, 'r'), row(b, 'r')]);
    });

    it('tells of which devices incidents follow from what is not saved', async () => {
      const device = await register(store, 'd');
      const { deviceId } = device;
      for (const first of [1, 2, 3]) await commit(store, device, [batch(first)]);
      const said = (number: number, position: number) => ({ ...alert(deviceId, number, AlertState.FIRING), position });
      await store.appendAlerts([said(1, 10), said(2, 25)], NOW_US);
      const mark = (from: number, position: number) =>
        store.saveDerived({ marks: [{ deviceId, position, from }], rollups: rollups([]), ruleStates: [] });
      await mark(0, 2);
      const { startedAtUs } = said(2, 25).alert;
      expect(await store.unsettledIncidents(10)).toEqual([{ deviceId, startedAtUs }]);
      expect(await store.unsettledIncidents(10, deviceId)).toEqual([{ deviceId, startedAtUs }]);
      expect(await store.unsettledIncidents(10, 77)).toEqual([]);
      await mark(2, 3);
      expect(await store.unsettledIncidents(10)).toEqual([]);
    });

    it('saves nothing of a device whose mark another process has moved, and says so', async () => {
      const one = await register(store, 'one');
      const two = await register(store, 'two');
      for (const device of [one, two]) for (const first of [1, 2, 3]) await commit(store, device, [batch(first)]);
      const ids = [one.deviceId, two.deviceId] as const;
      const save = (from: readonly [number, number], position: number) =>
        store.saveDerived({
          marks: ids.map((deviceId, at) => ({ deviceId, position, from: from[at] })),
          rollups: rollups(ids.map((deviceId) => rollupOf(deviceId, 60, [[6e7, 1]]))),
          ruleStates: ids.map((deviceId) => ({ deviceId, seriesId: 1, rule: 'r', state: String(position) })),
        });
      expect(await save([0, 0], 1)).toEqual([]);
      expect(await save([1, 0], 2)).toEqual([ids[1]]);
      const marks = (await store.undigested()).map(({ deviceId, position }) => [deviceId, position]);
      expect(marks).toEqual([
        [ids[0], 2],
        [ids[1], 1],
      ]);
      expect((await store.loadRuleStates()).map(({ state }) => state)).toEqual(['2', '1']);
      const counts = await Promise.all(ids.map((deviceId) => store.readRollups(deviceId, 1, 60, 0, 1e15)));
      expect(counts.map(({ count }) => [...count])).toEqual([[2], [1]]);
      // Backwards, where whoever begins anew says so.
      expect(await save([2, 1], 0)).toEqual([]);
      expect((await store.undigested()).map(({ position }) => position)).toEqual([0, 0]);
    });

    it('removes rollups that are old, however many there are', async () => {
      const { deviceId, epochs } = await register(store, 'd');
      const seriesId = epochs[0].series[1]?.seriesId as number;
      const rows = Array.from({ length: 6000 }, (_, at) => ({
        ...rollupOf(deviceId, at * 60, [[at * 6e7, 1]]),
        seriesId,
      }));
      await store.saveDerived({ marks: [], rollups: rollups(rows), ruleStates: [] });
      const never = Number.NEGATIVE_INFINITY;
      expect(await store.expireDerived(5999 * 60 * SECOND_US, never)).toEqual({ rollups: 5999, alerts: 0 });
      const left = await store.readRollups(deviceId, seriesId, 60, -1e15, 1e15);
      expect([...left.start]).toEqual([5999 * 60]);
    });

    it('takes values at the ends of the doubles', async () => {
      const { deviceId } = await register(store, 'd');
      const rows = [Number.MAX_VALUE, -Number.MAX_VALUE, Number.MAX_VALUE].map((value) =>
        rollupOf(deviceId, 0, [[1, value]]),
      );
      await store.saveDerived({ marks: [], rollups: rollups(rows), ruleStates: [] });
      const read = await store.readRollups(deviceId, 1, 60, 0, 1);
      expect([read.count[0], read.min[0], read.max[0]]).toEqual([3, -Number.MAX_VALUE, Number.MAX_VALUE]);
    });
  });

  describe('alerts', () => {
    it('numbers each device from 1 without a gap, once an incident and state', async () => {
      const one = (await register(store, 'one')).deviceId;
      const two = (await register(store, 'two')).deviceId;
      const firing = alert(one, 1, AlertState.FIRING);
      const added = await store.appendAlerts([firing, alert(two, 1, AlertState.FIRING), firing], NOW_US);
      expect(added.map(({ deviceId, alert: { number } }) => [deviceId, number])).toEqual([
        [one, 1],
        [two, 1],
      ]);
      const resolved = alert(one, 1, AlertState.RESOLVED);
      expect(await store.appendAlerts([firing, resolved], NOW_US)).toEqual([
        { ...resolved, alert: { ...resolved.alert, number: 2 } },
      ]);
      store = await under.reopen();
      expect((await store.readAlerts(one, 0, 10)).map(({ number }) => number)).toEqual([1, 2]);
      expect(await store.readAlerts(one, 1, 10)).toEqual([{ ...resolved.alert, number: 2 }]);
      expect(await store.readAlerts(one, 0, 1)).toHaveLength(1);
    });

    it('keeps late ones without a number, beside the one that notifies', async () => {
      const { deviceId } = await register(store, 'd');
      const late = alert(deviceId, 1, AlertState.FIRING, true);
      expect((await store.appendAlerts([late, late], NOW_US))[0].alert.number).toBe(0);
      expect(await store.appendAlerts([late], NOW_US)).toEqual([]);
      expect((await store.appendAlerts([alert(deviceId, 1, AlertState.FIRING)], NOW_US))[0].alert.number).toBe(1);
      expect(await store.readAlerts(deviceId, 0, 10)).toHaveLength(1);
      expect((await store.listAlerts({ firingOnly: false }, 0, 10)).alerts).toHaveLength(2);
    });

    it('remembers what a device has acknowledged, and never goes back', async () => {
      const { deviceId } = await register(store, 'd');
      await store.appendAlerts([alert(deviceId, 1, AlertState.FIRING), alert(deviceId, 2, AlertState.FIRING)], NOW_US);
      await store.acknowledgeAlerts(deviceId, 2, NOW_US);
      await store.acknowledgeAlerts(deviceId, 1, NOW_US);
      expect((await register(store, 'd')).alertCursor).toBe(2);
      await store.acknowledgeAlerts(deviceId, 1000, NOW_US);
      expect((await register(store, 'd')).alertCursor).toBe(2);
    });

    it('goes on above the cursor of a device that has seen more than it has, and loses none', async () => {
      const { deviceId } = await register(store, 'd');
      const records = [1, 2, 3].map((incident) => alert(deviceId, incident, AlertState.FIRING));
      await store.appendAlerts(records, NOW_US);
      await store.acknowledgeAlerts(deviceId, 1, NOW_US);
      expect(await store.resumeAlerts(deviceId, 3)).toBe(false);
      expect(await store.resumeAlerts(deviceId, 70)).toBe(true);
      expect(await store.resumeAlerts(deviceId, 70)).toBe(false);
      await store.appendAlerts([alert(deviceId, 4, AlertState.FIRING)], NOW_US);
      store = await under.reopen();
      const resumed = await store.readAlerts(deviceId, 70, 10);
      expect(resumed.map(({ number }) => number)).toEqual([71, 72, 73]);
      expect(resumed.map(({ incidentId }) => incidentId[0])).toEqual([2, 3, 4]);
      expect((await register(store, 'd')).alertCursor).toBe(70);
      const { alerts } = await store.listAlerts({ deviceId, firingOnly: false }, 0, 10);
      expect(alerts.map(({ number }) => number)).toEqual([1, 71, 72, 73]);
    });

    it('removes those that are old, and none that still fires', async () => {
      const { deviceId } = await register(store, 'd');
      const records = [1, 2, 3].map((incident) => alert(deviceId, incident, AlertState.FIRING));
      await store.appendAlerts([...records, alert(deviceId, 1, AlertState.RESOLVED)], NOW_US);
      const beforeUs = NOW_US + 3 * SECOND_US;
      const never = Number.NEGATIVE_INFINITY;
      expect(await store.expireDerived(never, beforeUs)).toEqual({ rollups: 0, alerts: 2 });
      expect((await store.readAlerts(deviceId, 0, 10)).map(({ number }) => number)).toEqual([2, 3]);
      expect(await store.expireDerived(never, beforeUs)).toEqual({ rollups: 0, alerts: 0 });
      // Numbers are not given again.
      expect((await store.appendAlerts([alert(deviceId, 9, AlertState.FIRING)], NOW_US))[0].alert.number).toBe(5);
    });

    it('lists by device, time and whether it still fires, in pages', async () => {
      const one = (await register(store, 'one')).deviceId;
      const two = (await register(store, 'two')).deviceId;
      const records = [1, 2, 3].flatMap((at) => [alert(one, at, AlertState.FIRING), alert(two, at, AlertState.FIRING)]);
      await store.appendAlerts([...records, alert(one, 2, AlertState.RESOLVED)], NOW_US);
      const range = { fromUs: NOW_US + 2 * SECOND_US, untilUs: NOW_US + 3 * SECOND_US };
      expect((await store.listAlerts({ range, firingOnly: false }, 0, 10)).alerts).toHaveLength(3);
      expect((await store.listAlerts({ deviceId: one, firingOnly: true }, 0, 10)).alerts).toHaveLength(2);
      const first = await store.listAlerts({ deviceId: one, firingOnly: false }, 0, 3);
      const rest = await store.listAlerts({ deviceId: one, firingOnly: false }, first.next, 3);
      expect([first.alerts.length, rest.alerts.length, rest.next]).toEqual([3, 1, 0]);
    });
  });
}
