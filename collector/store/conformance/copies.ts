import { ItemKind, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { beforeEach, describe, expect, it } from 'vitest';
import { type CheckedItem, ItemOutcome, type RegisteredDevice, type Registration, type Store } from '../store.js';
import { batch, bytes16, commit, READINGS, register, registration, SECOND_US, sequences, thinned } from './data.js';
import type { UnderTest } from './under-test.js';

const { Stored, Duplicate, Fork } = ItemOutcome;
const EPOCH = bytes16(7);
const MOVED = bytes16(8);
const MOVED_AGAIN = bytes16(9);

/** Copies of one buffer, each with an epoch of its own, in which they hold the same readings under other sequences. */
export function describeCopies(under: UnderTest): void {
  let store: Store;
  let starts: number;

  /** A copy registers: it holds so many items of an epoch. */
  function copy(epoch: Uint8Array, highestSequence: number, changes: Partial<Registration> = {}) {
    const [first] = registration('d').epochs;
    const startId = bytes16(++starts);
    return register(store, 'd', { startId, epochs: [{ ...first, epoch, highestSequence }], ...changes });
  }

  /** The batch of sequence `from` of the first epoch, moved. Its body says that it is of segment 1. */
  function moved(from: number, epoch: Uint8Array, sequence: number, changes: Partial<CheckedItem> = {}): CheckedItem {
    const body = new Uint8Array([0x08, 0x01, from]);
    const { firstUs, lastUs } = batch(from);
    const readingsBefore = (sequence - 1) * READINGS;
    return batch(sequence, { epoch, body, firstUs, lastUs, readingsBefore, ...changes });
  }

  const outcomes = async (device: RegisteredDevice, items: CheckedItem[]) => [
    ...(await commit(store, device, items)).items,
  ];
  const own = (from: number, sequence = from) => moved(from, EPOCH, sequence);

  describe('of two copies of a buffer', () => {
    beforeEach(() => {
      store = under.store();
      starts = 10;
    });

    it('one has other bytes than those that the other has moved, and that nobody stores here', async () => {
      await copy(EPOCH, 3);
      await outcomes(await copy(MOVED, 3), [moved(3, MOVED, 1)]);
      const late = await copy(EPOCH, 3);
      expect(await outcomes(late, [own(3)])).toEqual([Duplicate]);
      const other = batch(3, { body: new Uint8Array([1, 2, 3]) });
      expect(await outcomes(late, [other])).toEqual([Fork]);
      expect(await outcomes(late, [own(3)])).toEqual([Duplicate]);
    });

    it('neither is told that one of its rows is the same, since that says nothing about the others', async () => {
      const checksumTold = async (highestSequence: number, changes: Partial<Registration> = {}) =>
        (await copy(EPOCH, highestSequence, changes)).epochs[0].highestChecksum;
      const first = await copy(EPOCH, 2);
      await commit(store, first, [own(1), own(4)]);
      expect(await checksumTold(4)).toBe(own(4).checksum);
      expect(await checksumTold(9)).toBe(own(4).checksum);
      // It has given fewer sequences than are stored.
      expect(await checksumTold(3)).toBeUndefined();
      expect(await checksumTold(4)).toBeUndefined();
      store = await under.reopen();
      expect(await checksumTold(4)).toBeUndefined();
    });

    it('the same holds from when one of them has sent other bytes, or what the other has declared otherwise', async () => {
      const told = async (epoch: Uint8Array) => (await copy(epoch, 9)).epochs[0].highestChecksum;
      await outcomes(await copy(EPOCH, 9), [own(1), own(2)]);
      expect(await told(EPOCH)).toBe(own(2).checksum);
      expect(await outcomes(await copy(EPOCH, 9), [batch(1)])).toEqual([Fork]);
      expect(await told(EPOCH)).toBeUndefined();
      await outcomes(await copy(MOVED, 9), [moved(5, MOVED, 1)]);
      expect(await told(MOVED)).toBeDefined();
      const [first] = registration('d').epochs;
      const [segment] = registration('d').segments;
      const other = {
        epochs: [{ ...first, epoch: MOVED, highestSequence: 9 }],
        segments: [{ ...segment, bootId: 'x' }],
      };
      expect(await store.register(registration('d', other))).toMatchObject({ outcome: 'conflict' });
      expect(await told(MOVED)).toBeUndefined();
    });

    it('what both have moved to a new epoch is stored once, and the audit says where it is', async () => {
      const other = batch(3, { body: new Uint8Array([1, 2, 3]) });
      expect(await outcomes(await copy(EPOCH, 3), [own(1), own(2), other])).toEqual([Stored, Stored, Stored]);
      const first = await copy(MOVED, 3);
      const waited = [moved(3, MOVED, 1), moved(4, MOVED, 2), moved(5, MOVED, 3)];
      expect(await outcomes(first, waited)).toEqual([Stored, Stored, Stored]);
      expect(await outcomes(await copy(EPOCH, 3), [own(3)])).toEqual([Fork]);
      store = await under.reopen();
      const second = await copy(MOVED_AGAIN, 4);
      const again = [3, 4, 5, 6].map((from, at) => moved(from, MOVED_AGAIN, at + 1));
      expect(await outcomes(second, again)).toEqual([Duplicate, Duplicate, Duplicate, Stored]);
      expect(await outcomes(second, again)).toEqual([Duplicate, Duplicate, Duplicate, Duplicate]);
      const all = await store.readAfter(first.deviceId, 0, 1e6);
      expect(all.map(({ items }) => items.length).reduce((a, b) => a + b)).toBe(7);
      const copied = { reason: LossReason.COPIED, readings: 3 * READINGS, bound: false };
      const balance = { produced: 4 * READINGS, stored: READINGS, declared: [copied], missing: 0, doubled: 0 };
      expect((await store.audit(first.deviceId))[2]).toMatchObject({ ...balance, waiting: 0 });
      expect((await copy(MOVED_AGAIN, 4)).epochs[0].ranges).toEqual([{ first: 1, last: 4 }]);
    });

    it('transitions that both have moved are stored of each, and are no readings', async () => {
      const body = new TextEncoder().encode('a transition');
      const found = (sequence: number, epoch: Uint8Array, readingsBefore: number) =>
        batch(sequence, { epoch, kind: ItemKind.TRANSITION, readings: 0, readingsBefore, body });
      const first = await copy(EPOCH, 2);
      expect(await outcomes(first, [own(1), found(2, EPOCH, READINGS)])).toEqual([Stored, Stored]);
      const waited = (epoch: Uint8Array) => [moved(3, epoch, 1), found(2, epoch, READINGS)];
      expect(await outcomes(await copy(MOVED, 2), waited(MOVED))).toEqual([Stored, Stored]);
      const again = await copy(MOVED_AGAIN, 2);
      expect(await outcomes(again, waited(MOVED_AGAIN))).toEqual([Duplicate, Stored]);
      expect(await outcomes(again, waited(MOVED_AGAIN))).toEqual([Duplicate, Duplicate]);
      const audits = await store.audit(first.deviceId);
      expect(audits.map(({ produced, missing, doubled }) => [produced, missing, doubled])).toEqual([
        [READINGS, 0, 0],
        [READINGS, 0, 0],
        [READINGS, 0, 0],
      ]);
    });

    it('what one has moved is not taken from the other under its old sequence', async () => {
      const first = await copy(EPOCH, 2);
      await commit(store, first, [own(1)]);
      expect(await outcomes(await copy(MOVED, 1), [moved(2, MOVED, 1)])).toEqual([Stored]);
      expect(await outcomes(await copy(EPOCH, 3), [own(2), own(3)])).toEqual([Duplicate, Stored]);
      const [balance] = await store.audit(first.deviceId);
      expect(balance).toMatchObject({ produced: 3 * READINGS, stored: 2 * READINGS, missing: 0 });
    });

    it('what one has sent under its old sequence is not taken from the other that moved it', async () => {
      await commit(store, await copy(EPOCH, 2), [own(1), own(2)]);
      const second = await copy(MOVED, 2);
      expect(await outcomes(second, [moved(2, MOVED, 1), moved(3, MOVED, 2)])).toEqual([Duplicate, Stored]);
      expect(sequences(await store.readAfter(second.deviceId, 0, 1e6))).toEqual([1, 2, 2]);
    });

    it('what is thinned is stored once, too', async () => {
      const item = thinned(9, 80, 4, [[5, 6, 16]]);
      await commit(store, await copy(EPOCH, 9), [own(1)]);
      const move = (epoch: Uint8Array) => ({
        ...thinned(1, 0, 4, [[5, 6, 16]], { epoch, of: EPOCH }),
        body: item.body,
      });
      const checked = (epoch: Uint8Array) => batch(1, { ...move(epoch), epoch, readingsBefore: 0 });
      expect(await outcomes(await copy(MOVED, 1), [checked(MOVED)])).toEqual([Stored]);
      expect(await outcomes(await copy(MOVED_AGAIN, 1), [checked(MOVED_AGAIN)])).toEqual([Duplicate]);
    });

    it('the same readings are found when the offset of their segment was settled anew', async () => {
      await commit(store, await copy(MOVED, 1), [moved(1, MOVED, 1)]);
      const [segment] = registration('d').segments;
      const later = { ...segment, offsetUs: segment.offsetUs + 3600 * SECOND_US };
      const second = await copy(MOVED_AGAIN, 1, { segments: [later] });
      const { firstUs, lastUs } = batch(1);
      const shifted = { firstUs: firstUs + 3600 * SECOND_US, lastUs: lastUs + 3600 * SECOND_US };
      const item = moved(1, MOVED_AGAIN, 1, { ...shifted, offsetUs: later.offsetUs });
      expect(await outcomes(second, [item])).toEqual([Duplicate]);
    });

    it('equal bytes of another boot are other readings', async () => {
      await commit(store, await copy(MOVED, 1), [moved(1, MOVED, 1)]);
      const [segment] = registration('d').segments;
      const second = await copy(MOVED_AGAIN, 1, { segments: [{ ...segment, bootId: 'boot-2' }] });
      expect(await outcomes(second, [moved(1, MOVED_AGAIN, 1)])).toEqual([Stored]);
    });

    it('what the newest has produced after it moved is compared with nothing', async () => {
      await commit(store, await copy(EPOCH, 1), [own(1)]);
      const second = await copy(MOVED, 1);
      const items = [moved(2, MOVED, 1), moved(1, MOVED, 2)];
      expect(await outcomes(second, items)).toEqual([Stored, Stored]);
    });
  });
}
