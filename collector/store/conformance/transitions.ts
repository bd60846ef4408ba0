import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { ItemKind, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { beforeEach, describe, expect, it } from 'vitest';
import { type CheckedItem, ItemOutcome, type Store } from '../store.js';
import { alert, batch, commit, NOW_US, register, rollups, SECOND_US } from './data.js';
import type { UnderTest } from './under-test.js';

/** Transitions of incidents that devices evaluate: items like others, that hold no readings. */
export function describeTransitions(under: UnderTest): void {
  describe("devices' own transitions", () => {
    let store: Store;
    beforeEach(() => {
      store = under.store();
    });

    it('are stored among batches, once, and read back as they were', async () => {
      const device = await register(store, 'd');
      const items = [batch(1), transition(2, { readingsBefore: 10 }), batch(3, { readingsBefore: 10 })];
      const outcome = await commit(store, device, items);
      expect([...outcome.items]).toEqual([ItemOutcome.Stored, ItemOutcome.Stored, ItemOutcome.Stored]);
      const again = await commit(store, device, [items[1]!]);
      expect([...again.items]).toEqual([ItemOutcome.Duplicate]);
      const other = await commit(store, device, [transition(2, { readingsBefore: 10, body: new Uint8Array(9) })]);
      expect([...other.items]).toEqual([ItemOutcome.Fork]);
      store = await under.reopen();
      const pages = await store.readAfter(device.deviceId, 0, 1 << 20);
      const stored = pages
        .flatMap((page) => page.items)
        .find(({ kind }) => kind === ItemKind.TRANSITION) as CheckedItem;
      const { firstUs, lastUs, offsetUs, quality, body, lane } = items[1]!;
      expect(stored).toMatchObject({ sequence: 2, readings: 0, firstUs, lastUs, offsetUs, quality, lane });
      expect(Buffer.compare(stored.body, body)).toBe(0);
    });

    it('are no readings: queries do not meet them, and the audit balances', async () => {
      const device = await register(store, 'd');
      await commit(store, device, [batch(1), transition(2, { readingsBefore: 10 })]);
      await commit(store, device, [transition(3, { readingsBefore: 10, lane: Lane.BACKFILL })]);
      const range = { deviceId: device.deviceId, fromUs: -(2 ** 52), untilUs: 2 ** 52 };
      const { items } = await store.readRange(range, '', 1 << 20);
      expect(items.flatMap((one) => one.items).filter(({ kind }) => kind === ItemKind.BATCH)).toHaveLength(1);
      const [audit] = await store.audit(device.deviceId);
      expect(audit).toMatchObject({ produced: 10, stored: 10, missing: 0, doubled: 0, highestSequence: 3 });
    });

    it('expire with the batches around them, and balance then', async () => {
      const device = await register(store, 'd');
      const { position } = await commit(store, device, [
        batch(1),
        transition(2, { readingsBefore: 10 }),
        batch(3, { readingsBefore: 10 }),
      ]);
      const marks = [{ deviceId: device.deviceId, from: 0, position }];
      await store.saveDerived({ marks, rollups: rollups([]), ruleStates: [] });
      expect(await store.expire(NOW_US + 1e6 * SECOND_US)).toBe(20);
      const [audit] = await store.audit(device.deviceId);
      expect(audit).toMatchObject({ produced: 20, stored: 0, missing: 0, doubled: 0 });
    });

    it('that say an end are told exactly if the beginning was', async () => {
      const device = await register(store, 'd');
      const said = (incident: number, state: AlertState, late: boolean) => {
        const record = alert(device.deviceId, incident, state);
        return { ...record, alert: { ...record.alert, late, authority: RuleAuthority.DEVICE } };
      };
      const append = async (...records: ReturnType<typeof said>[]) =>
        (await store.appendAlerts(records, NOW_US)).map(({ alert: { number, late } }) => [number, late]);
      const { FIRING, RESOLVED } = AlertState;
      expect(await append(said(1, FIRING, false), said(1, RESOLVED, true))).toEqual([
        [1, false],
        [2, false],
      ]);
      expect(await append(said(2, FIRING, true), said(2, RESOLVED, false))).toEqual([
        [0, true],
        [0, true],
      ]);
      // It came as history, was said once more as it went on, and ended.
      expect(await append(said(3, FIRING, true), said(3, FIRING, false))).toEqual([
        [0, true],
        [3, false],
      ]);
      expect(await append(said(3, FIRING, false), said(3, RESOLVED, true))).toEqual([[4, false]]);
    });
  });
}

/** A transition of an incident. The body is none, because no store looks into it. */
function transition(sequence: number, changes: Partial<CheckedItem>): CheckedItem {
  return batch(sequence, { kind: ItemKind.TRANSITION, readings: 0, ...changes });
}
