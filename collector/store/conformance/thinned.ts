import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { beforeEach, describe, expect, it } from 'vitest';
import { ItemOutcome, type RegisteredDevice, type Store } from '../store.js';
import {
  batch,
  batches,
  bytes16,
  commit,
  declaration,
  NOW_US,
  plain,
  READINGS,
  register,
  registration,
  rollups,
  SECOND_US,
  sequences,
  thinned,
} from './data.js';
import type { UnderTest } from './under-test.js';

const { Stored, Duplicate, Superseded } = ItemOutcome;

/** Thinned batches: what stands for other sequences. */
export function describeThinned(under: UnderTest): void {
  let store: Store;
  let device: RegisteredDevice;

  const lossOf = (readings: number) => ({ reason: LossReason.THINNED, readings, bound: false });
  const audit = async () => (await store.audit(device.deviceId))[0];
  const digest = (position: number) =>
    store.saveDerived({ marks: [{ deviceId: device.deviceId, position }], rollups: rollups([]), ruleStates: [] });

  describe('a thinned batch', () => {
    beforeEach(async () => {
      store = under.store();
      device = await register(store, 'd');
    });

    it('is stored, and the audit says exactly what it kept and what it left out', async () => {
      await commit(store, device, batches(1, 2));
      // Sequences 3 to 5 held 30 readings: 6 are kept, 24 are not.
      const items = [...batches(6, 8), thinned(9, 80, 6, [[3, 5, 24]]), batch(10, { readingsBefore: 80 })];
      expect([...(await commit(store, device, items)).items]).toEqual(items.map(() => Stored));
      store = await under.reopen();
      expect(await audit()).toMatchObject({ produced: 90, stored: 66, declared: [lossOf(24)], missing: 0, doubled: 0 });
      const [listed] = await store.listDevices(0, 1);
      expect(listed).toMatchObject({ itemsStored: 7, readingsStored: 66 });
      const range = { deviceId: device.deviceId, fromUs: NOW_US, untilUs: NOW_US + 1000 * SECOND_US };
      const found = (await store.readRange(range, '', 1e7)).items.flatMap((part) => part.items.map(plain));
      expect(found.map(({ sequence }) => sequence)).toEqual([1, 2, 9, 6, 7, 8, 10]);
      expect(found[2]).toEqual(plain(items[3]));
    });

    it('makes its originals duplicates, and itself when it comes again', async () => {
      await commit(store, device, batches(1, 2));
      const item = thinned(6, 50, 6, [[3, 5, 24]]);
      await commit(store, device, [item]);
      const again = await commit(store, device, [...batches(3, 5), item, batch(7, { readingsBefore: 50 })]);
      expect([...again.items]).toEqual([Duplicate, Duplicate, Duplicate, Duplicate, Stored]);
      expect(sequences(await store.readAfter(device.deviceId, 0, 1e6))).toEqual([1, 2, 6, 7]);
      expect(await audit()).toMatchObject({ produced: 60, stored: 36, declared: [lossOf(24)], missing: 0, doubled: 0 });
      const ranges = (await register(store, 'd')).epochs[0].ranges;
      expect(ranges).toEqual([{ first: 1, last: 7 }]);
    });

    it('is refused as a whole when one of its originals is there, before or in the same commit', async () => {
      await commit(store, device, batches(1, 4));
      const late = [thinned(6, 50, 6, [[4, 5, 14]]), batch(7, { readingsBefore: 50 })];
      expect([...(await commit(store, device, late)).items]).toEqual([Superseded, Stored]);
      const both = [batch(5), thinned(8, 60, 4, [[5, 5, 6]])];
      expect([...(await commit(store, device, both)).items]).toEqual([Stored, Superseded]);
      expect(sequences(await store.readAfter(device.deviceId, 0, 1e6))).toEqual([1, 2, 3, 4, 7, 5]);
      expect(await audit()).toMatchObject({ produced: 60, stored: 60, declared: [], missing: 0, doubled: 0 });
      expect((await commit(store, device, [thinned(9, 60, 1, [[6, 6, 0]])])).items[0]).toBe(Stored);
    });

    it('says how much is missing beside it, whatever order the entries have', async () => {
      // 2 is lost without a word, 3 and 5 are thinned together, 4 is evicted, 7 is thinned alone.
      const items = [
        batch(1),
        batch(6),
        thinned(8, 70, 8, [
          [5, 5, 7],
          [3, 3, 5],
        ]),
        thinned(9, 70, 3, [[7, 7, 7]]),
        declaration(10, 70, [{ first: 4, last: 4, readings: 10 }]),
        batch(11, { readingsBefore: 70 }),
      ];
      await commit(store, device, items);
      const evicted = { reason: LossReason.EVICTED, readings: READINGS, bound: false };
      expect(await audit()).toMatchObject({
        produced: 80,
        stored: 41,
        declared: [evicted, lossOf(19)],
        missing: READINGS,
        doubled: 0,
      });
    });

    it('can be evicted in its turn: what it kept is declared beside what it left out', async () => {
      const lost = [
        { first: 2, last: 4, readings: 24, reason: LossReason.THINNED },
        { first: 2, last: 4, readings: 6, reason: LossReason.EVICTED },
      ];
      await commit(store, device, [batch(1), declaration(6, 40, lost), batch(7, { readingsBefore: 40 })]);
      const evicted = { reason: LossReason.EVICTED, readings: 6, bound: false };
      expect(await audit()).toMatchObject({ produced: 50, stored: 20, declared: [evicted, lossOf(24)], missing: 0 });
    });

    it('beats what is declared of it after all, when its acknowledgement was lost', async () => {
      const lost = [
        { first: 2, last: 4, readings: 24, reason: LossReason.THINNED },
        { first: 1, last: 4, readings: 16, reason: LossReason.EVICTED },
      ];
      const items = [thinned(5, 40, 6, [[2, 4, 24]]), declaration(6, 40, lost), batch(7, { readingsBefore: 40 })];
      await commit(store, device, items);
      const evicted = { reason: LossReason.EVICTED, readings: READINGS, bound: false };
      expect(await audit()).toMatchObject({ produced: 50, stored: 16, declared: [evicted, lossOf(24)], missing: 0 });
    });

    it('may stand for sequences of an epoch that was given up', async () => {
      await commit(store, device, [batch(1), batch(4)]);
      const newer = { ...registration('d').epochs[0], epoch: bytes16(8) };
      const second = await register(store, 'd', { startId: bytes16(2), epochs: [newer], series: [], segments: [] });
      const item = thinned(1, 0, 5, [[2, 3, 15]], { epoch: bytes16(8), of: bytes16(7) });
      await commit(store, second, [item, batch(2, { epoch: bytes16(8), readingsBefore: 0 })]);
      const [first, other] = await store.audit(device.deviceId);
      expect(first).toMatchObject({ produced: 40, stored: 25, declared: [lossOf(15)], missing: 0, doubled: 0 });
      expect(other).toMatchObject({ produced: 10, stored: 10, declared: [], missing: 0, doubled: 0 });
      const again = await register(store, 'd', { startId: bytes16(3) });
      expect([...(await commit(store, again, [batch(3)])).items]).toEqual([Duplicate]);
    });

    it('expires, and its originals stay duplicates', async () => {
      const items = [batch(1), thinned(5, 40, 6, [[2, 4, 24]]), batch(6, { readingsBefore: 40 })];
      await commit(store, device, items);
      await digest(1);
      await store.compact();
      expect(await store.expire(items[1].lastUs + 1)).toBe(READINGS + 6);
      const expired = { reason: LossReason.EXPIRED, readings: READINGS + 6, bound: false };
      expect(await audit()).toMatchObject({ produced: 50, stored: 10, declared: [lossOf(24), expired], missing: 0 });
      expect((await store.listDevices(0, 1))[0]).toMatchObject({ itemsStored: 1, readingsStored: READINGS });
      const again = await commit(store, device, [batch(3), items[1]]);
      expect([...again.items]).toEqual([Duplicate, Duplicate]);
    });

    it('leaves nothing of itself when its commit fails', async () => {
      await commit(store, device, [batch(1)]);
      const bad = { ...batch(6), body: undefined } as unknown as ReturnType<typeof batch>;
      await expect(commit(store, device, [thinned(5, 40, 6, [[2, 4, 24]]), bad])).rejects.toThrow();
      expect([...(await commit(store, device, batches(2, 4))).items]).toEqual([Stored, Stored, Stored]);
    });
  });
}
