import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { beforeEach, describe, expect, it } from 'vitest';
import { ItemOutcome, type Store } from '../store.js';
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
} from './data.js';
import type { UnderTest } from './under-test.js';

const { Stored, Duplicate, Fork } = ItemOutcome;

/** Queries, the proof, and what retention does to them. */
export function describeReads(under: UnderTest): void {
  let store: Store;
  beforeEach(() => {
    store = under.store();
  });

  describe('readRange', () => {
    async function readAll(deviceId: number, fromUs: number, untilUs: number, maxBytes: number): Promise<number[]> {
      const read: number[] = [];
      let after = '';
      do {
        const page = await store.readRange({ deviceId, fromUs, untilUs }, after, maxBytes);
        read.push(...sequences(page.items));
        after = page.next;
      } while (after !== '');
      return read;
    }

    it('answers what touches the range, in order of time whatever the order of arrival, in pages', async () => {
      const device = await register(store, 'd');
      await commit(store, device, batches(11, 20));
      await commit(store, device, batches(1, 10));
      await commit(store, device, batches(31, 33));
      await commit(store, device, [declaration(34, 330, [{}])]);
      // A year long item, and one of another time altogether.
      await commit(store, device, [
        batch(50, { firstUs: NOW_US, lastUs: NOW_US + 366 * 86_400 * SECOND_US }),
        batch(51, { firstUs: -5e15, lastUs: -5e15 }),
      ]);
      const at = (sequence: number) => NOW_US + sequence * READINGS * SECOND_US;
      const expected = [50, ...batches(1, 20).map(({ sequence }) => sequence), 31, 32, 33];
      for (const maxBytes of [1, 30, 1e6]) {
        expect(await readAll(device.deviceId, NOW_US, at(100), maxBytes)).toEqual(expected);
      }
      expect(await readAll(device.deviceId, at(5), at(7), 1e6)).toEqual([50, 5, 6]);
      // The last reading of 5 is within, the first of 7 is not.
      expect(await readAll(device.deviceId, at(6) - SECOND_US, at(7), 1e6)).toEqual([50, 5, 6]);
      expect(await readAll(device.deviceId, at(6) - SECOND_US + 1, at(7), 1e6)).toEqual([50, 6]);
      expect(await readAll(device.deviceId, -6e15, -4e15, 1e6)).toEqual([51]);
      expect(await readAll(device.deviceId, at(5000), at(5001), 1e6)).toEqual([50]);
    });
  });

  describe('audit', () => {
    it('proves produced = stored + declared + missing', async () => {
      const device = await register(store, 'd');
      await commit(store, device, [
        ...batches(1, 2),
        ...batches(5, 5),
        declaration(6, 50, [{ first: 3, last: 3, readings: READINGS }]),
      ]);
      const [audit] = await store.audit(device.deviceId);
      expect(audit).toMatchObject({
        device: 'd',
        epoch: bytes16(7),
        produced: 50,
        stored: 30,
        missing: 10,
        doubled: 0,
      });
      expect(audit.declared).toEqual([{ reason: LossReason.EVICTED, readings: 10, bound: false }]);
    });

    it('counts a declaration once, and not for what is stored after all', async () => {
      const device = await register(store, 'd');
      const entry = { first: 2, last: 4, readings: 30, reason: LossReason.CORRUPT };
      await commit(store, device, [batch(1), batch(5), declaration(6, 50, [entry])]);
      await commit(store, device, [declaration(7, 50, [entry]), batch(8, { readingsBefore: 50 })]);
      expect((await store.audit(undefined))[0]).toMatchObject({ produced: 60, stored: 30, missing: 0 });
      await commit(store, device, [batch(3)]);
      const [audit] = await store.audit(undefined);
      expect(audit).toMatchObject({ produced: 60, stored: 40, missing: 0 });
      expect(audit.declared).toEqual([{ reason: LossReason.CORRUPT, readings: 20, bound: false }]);
    });

    it('lets a later epoch speak of an earlier one, known or not', async () => {
      const device = await register(store, 'd');
      await commit(store, device, [
        batch(1),
        declaration(2, 10, [
          { epoch: bytes16(3), first: 1, last: 9, readings: 900, bound: true, reason: LossReason.CRASH_WINDOW },
        ]),
      ]);
      const audits = await store.audit(device.deviceId);
      expect(audits.find((audit) => audit.epoch[0] === 3)).toMatchObject({
        produced: 900,
        stored: 0,
        missing: 0,
        declared: [{ reason: LossReason.CRASH_WINDOW, readings: 900, bound: true }],
      });
    });
  });

  describe('retention', () => {
    const endOf = (sequence: number) => NOW_US + (sequence + 1) * READINGS * SECOND_US;
    const digest = (deviceId: number, position: number) =>
      store.saveDerived({ marks: [{ deviceId, position }], rollups: rollups([]), ruleStates: [] });

    it('removes what is old and digested, keeps the balance, and still knows what it had', async () => {
      const device = await register(store, 'd');
      const { deviceId } = device;
      await commit(store, device, [...batches(1, 4), ...batches(7, 20)]);
      expect(await store.expire(endOf(9))).toBe(0);
      await digest(deviceId, 1);
      expect(await store.expire(endOf(8))).toBe(6 * READINGS);
      expect(await store.expire(endOf(9))).toBe(READINGS);
      expect(await store.expire(endOf(9))).toBe(0);
      const [audit] = await store.audit(deviceId);
      expect(audit).toMatchObject({ produced: 200, stored: 110, missing: 20, doubled: 0 });
      expect(audit.declared).toEqual([{ reason: LossReason.EXPIRED, readings: 70, bound: false }]);
      const again = await commit(store, device, [batch(1, { body: new Uint8Array(4) }), batch(6), batch(10)]);
      expect([...again.items]).toEqual([Duplicate, Stored, Duplicate]);
      expect((await store.listDevices(0, 1))[0]).toMatchObject({ readingsStored: 120, itemsStored: 12 });
      expect((await store.audit(deviceId))[0]).toMatchObject({ produced: 200, stored: 120, missing: 10 });
      const epochs = registration('d').epochs.map((epoch) => ({ ...epoch, highestSequence: 20 }));
      expect((await register(store, 'd', { epochs })).epochs[0].highestChecksum).toBe(batch(20).checksum);
    });

    it('removes the last item too, and what has no time with the batches around it', async () => {
      const device = await register(store, 'd');
      await commit(store, device, [batch(1), declaration(2, READINGS, [{}]), batch(3, { readingsBefore: READINGS })]);
      await digest(device.deviceId, 1);
      expect(await store.expire(endOf(100))).toBe(2 * READINGS);
      expect(await store.readAfter(device.deviceId, 0, 1e6)).toEqual([]);
      expect((await store.audit(undefined))[0]).toMatchObject({ produced: 20, stored: 0, missing: 0, doubled: 0 });
    });

    it('merges small neighbours without changing an answer', async () => {
      const device = await register(store, 'd');
      const { deviceId } = device;
      for (let sequence = 1; sequence <= 60; sequence++) {
        if (sequence !== 30) await commit(store, device, [batch(sequence)]);
      }
      await digest(deviceId, 50);
      const range = { deviceId, fromUs: NOW_US, untilUs: endOf(100) };
      const read = async () => (await store.readRange(range, '', 1e7)).items.flatMap(({ items }) => items.map(plain));
      const before = await read();
      const audit = await store.audit(deviceId);
      expect(await store.compact()).toBeGreaterThan(1000);
      expect(await read()).toEqual(before);
      expect(await store.audit(deviceId)).toEqual(audit);
      expect(sequences(await store.readAfter(deviceId, 50, 1e6))).toEqual([52, 53, 54, 55, 56, 57, 58, 59, 60]);
      const again = await commit(store, device, [batch(29), batch(31, { body: new Uint8Array(1) }), batch(61)]);
      expect([...again.items]).toEqual([Duplicate, Fork, Stored]);
      expect(await store.compact()).toBe(0);
    });
  });
}
