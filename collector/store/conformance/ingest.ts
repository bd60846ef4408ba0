import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { beforeEach, describe, expect, it } from 'vitest';
import { CLOCK_ID_MAX, EPOCHS_PER_DEVICE_MAX, ItemOutcome, SEGMENTS_PER_EPOCH_MAX, type Store } from '../store.js';
import {
  batch,
  batches,
  bytes16,
  commit,
  declaration,
  NOW_US,
  part,
  plain,
  READINGS,
  register,
  registration,
  sequences,
} from './data.js';
import type { UnderTest } from './under-test.js';

const { Stored, Duplicate, Fork } = ItemOutcome;

/** Registration and commit. */
export function describeIngest(under: UnderTest): void {
  let store: Store;
  beforeEach(() => {
    store = under.store();
  });

  describe('registration', () => {
    it('is idempotent for one start, and fences the start before', async () => {
      const first = await register(store, 'd');
      expect(await register(store, 'd')).toEqual(first);
      const second = await register(store, 'd', { startId: bytes16(2) });
      expect(second.deviceId).toBe(first.deviceId);
      expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
      const outcomes = await store.commit([part(first, batches(1, 2)), part(second, batches(1, 1))], NOW_US);
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(['fenced', 'committed']);
    });

    it('tells tenants apart', async () => {
      const one = await register(store, 'd', { name: { tenant: 'one', device: 'd' } });
      const two = await register(store, 'd', { name: { tenant: 'two', device: 'd' } });
      expect(two.deviceId).not.toBe(one.deviceId);
      expect(await store.findDevice({ tenant: 'two', device: 'd' })).toBe(two.deviceId);
      expect(await store.findDevice({ tenant: '', device: 'd' })).toBeUndefined();
    });

    it('answers what is durable of each epoch, also after a restart', async () => {
      const device = await register(store, 'd');
      await commit(store, device, [...batches(1, 3), ...batches(6, 7)]);
      store = await under.reopen();
      const older = { ...registration('d').epochs[0], highestSequence: 7 };
      const again = await register(store, 'd', { epochs: [{ ...older, epoch: bytes16(8) }, older] });
      expect(again.epochs[0]).toMatchObject({ epoch: bytes16(8), ranges: [], highestSequence: 0 });
      expect(again.epochs[0].highestChecksum).toBeUndefined();
      expect(again.epochs[1]).toMatchObject({
        epochId: device.epochs[0].epochId,
        ranges: [
          { first: 1, last: 3 },
          { first: 6, last: 7 },
        ],
        highestSequence: 7,
        highestChecksum: batch(7).checksum,
      });
    });

    it('gives a series one id over all epochs and any order of labels', async () => {
      const [temperature, door] = registration('d').series;
      const device = await register(store, 'd');
      const turned = { ...temperature, id: 2, labels: { floor: '1', room: 'a' } };
      const epoch = { ...registration('d').epochs[0], epoch: bytes16(8) };
      const again = await register(store, 'd', { epochs: [epoch], series: [{ ...door, id: 1 }, turned] });
      expect(again.epochs[0].series[2]?.seriesId).toBe(device.epochs[0].series[1]?.seriesId);
      expect(again.epochs[0].series[1]?.seriesId).toBe(device.epochs[0].series[2]?.seriesId);
      expect(await store.listSeries(device.deviceId)).toHaveLength(2);
      const catalogue = await store.catalogue(device.deviceId, device.epochs[0].epochId);
      expect(catalogue).toEqual(device.epochs[0].series);
    });

    it('takes a catalogue in several calls', async () => {
      const [temperature, door] = registration('d').series;
      await register(store, 'd', { series: [temperature] });
      const device = await register(store, 'd', { series: [door], segments: [] });
      expect(device.epochs[0].series.map((series) => series?.declaration.name)).toEqual([
        undefined,
        'temperature',
        'door',
      ]);
      expect(device.epochs[0].segments[1]).toEqual(registration('d').segments[0]);
    });

    it('takes segments whose ids begin late, and 16,384 of them at the most', async () => {
      const [segment] = registration('d').segments;
      const many = Array.from({ length: SEGMENTS_PER_EPOCH_MAX }, (_, at) => ({ ...segment, id: 900_000 + at }));
      const device = await register(store, 'd', { segments: many });
      expect(device.epochs[0].segments[899_999]).toBeUndefined();
      expect(device.epochs[0].segments[900_000 + SEGMENTS_PER_EPOCH_MAX - 1]).toEqual(many.at(-1));
      const again = await register(store, 'd', { segments: [many[5]] });
      expect(again.epochs[0].segments[900_005]).toEqual(many[5]);
      const beyond = { startId: bytes16(9), segments: [{ ...segment, id: 1_000_000 }] };
      expect((await store.register(registration('d', beyond))).outcome).toBe('conflict');
      const another = { startId: bytes16(9), segments: [{ ...segment, id: CLOCK_ID_MAX + 1 }] };
      expect((await store.register(registration('e', another))).outcome).toBe('conflict');
    });

    it('finds a copied buffer by a series or segment that became another, and keeps nothing of that call', async () => {
      const device = await register(store, 'd');
      const [temperature] = registration('d').series;
      const [segment] = registration('d').segments;
      const changed = { startId: bytes16(9), series: [{ ...temperature, name: 'pressure' }] };
      expect((await store.register(registration('d', changed))).outcome).toBe('conflict');
      const rebooted = { startId: bytes16(9), segments: [{ ...segment, bootId: 'boot-2' }] };
      expect((await store.register(registration('d', rebooted))).outcome).toBe('conflict');
      expect(await register(store, 'd')).toEqual(device);
    });

    it('lets a segment that nobody vouched for become better known, and never changes it again', async () => {
      const [known] = registration('d').segments;
      const segment = { ...known, offsetUs: -5, state: ClockState.UNSYNCHRONIZED };
      const declare = async (changes: Partial<typeof segment>) =>
        (await register(store, 'd', { segments: [{ ...segment, ...changes }] })).epochs[0].segments[1];
      expect(await declare({})).toEqual(segment);
      expect(await declare({ offsetUs: -6 })).toEqual(segment);
      const estimated = { ...segment, offsetUs: -7, state: ClockState.ESTIMATED };
      expect(await declare(estimated)).toEqual(estimated);
      expect(await declare({ offsetUs: -8, state: ClockState.SYNCHRONIZED })).toEqual(estimated);
      expect(await declare({})).toEqual(estimated);
    });

    it('keeps what became known of a segment, each anchor once and as it first came', async () => {
      const state = ClockState.ESTIMATED;
      const anchor = { id: 1, segment: 1, atUs: 5, offsetUs: -9, uncertaintyUs: 3, state };
      await register(store, 'd', { anchors: [anchor] });
      const second = { ...anchor, id: 2, atUs: 6 };
      const device = await register(store, 'd', { anchors: [{ ...anchor, offsetUs: -1 }, second] });
      expect(device.epochs[0].anchors).toEqual([undefined, anchor, second]);
      expect((await register(store, 'd')).epochs[0].anchors).toEqual([undefined, anchor, second]);
      const copied = { startId: bytes16(9), anchors: [{ ...anchor, segment: 2 }] };
      expect((await store.register(registration('d', copied))).outcome).toBe('conflict');
    });

    it('limits the series of a device', async () => {
      const outcome = await store.register(registration('d', { seriesPerDeviceMax: 1 }));
      expect(outcome).toMatchObject({ outcome: 'too-many-series', detail: expect.stringContaining('door') });
      expect(await store.findDevice({ tenant: '', device: 'd' })).toBeUndefined();
    });
  });

  describe('epochs', () => {
    it('are limited, and those that are known stay', async () => {
      const [said] = registration('d').epochs;
      const epochOf = (number: number) => {
        const epoch = new Uint8Array(16);
        new DataView(epoch.buffer).setUint32(0, number);
        return { ...said, epoch };
      };
      const lists: (typeof said)[][] = [];
      for (let first = 1; first <= EPOCHS_PER_DEVICE_MAX; first += 64) {
        lists.push(Array.from({ length: 64 }, (_, at) => epochOf(first + at)));
      }
      for (const epochs of lists) await register(store, 'd', { epochs });
      const refused = await store.register(registration('d', { epochs: [epochOf(EPOCHS_PER_DEVICE_MAX + 1)] }));
      expect(refused).toMatchObject({ outcome: 'too-many-epochs', detail: expect.stringContaining('1024') });
      expect((await register(store, 'd', { epochs: [epochOf(3)] })).epochs).toHaveLength(1);
      expect((await store.audit(undefined)).length).toBe(EPOCHS_PER_DEVICE_MAX);
    });
  });

  describe('commit', () => {
    it('gives back what it was given', async () => {
      const device = await register(store, 'd');
      const items = [batch(1), declaration(2, READINGS, [{}]), batch(3, { readingsBefore: READINGS })];
      expect([...(await commit(store, device, items)).items]).toEqual([Stored, Stored, Stored]);
      store = await under.reopen();
      const [stored] = await store.readAfter(device.deviceId, 0, 1e6);
      expect(stored).toMatchObject({ deviceId: device.deviceId, epoch: bytes16(7), position: 1 });
      expect(stored.items.map(plain)).toEqual(items.map(plain));
    });

    it('drops duplicates and refuses forks, item by item', async () => {
      const device = await register(store, 'd');
      await commit(store, device, batches(1, 4));
      const other = batch(3, { body: new Uint8Array([1, 2, 3]) });
      const again = await commit(store, device, [batch(2), other, batch(4), batch(5), batch(9)]);
      expect([...again.items]).toEqual([Duplicate, Fork, Duplicate, Stored, Stored]);
      store = await under.reopen();
      const third = await commit(store, device, [other, batch(5), batch(9, { body: new Uint8Array(1) })]);
      expect([...third.items]).toEqual([Fork, Duplicate, Fork]);
      expect(sequences(await store.readAfter(device.deviceId, 0, 1e6))).toEqual([1, 2, 3, 4, 5, 9]);
      const [audit] = await store.audit(device.deviceId);
      expect(audit).toMatchObject({ stored: 6 * READINGS, duplicatesDropped: 3, doubled: 0, highestSequence: 9 });
    });

    it('tells epochs apart', async () => {
      const older = registration('d').epochs[0];
      const device = await register(store, 'd', { epochs: [older, { ...older, epoch: bytes16(8) }] });
      await commit(store, device, [batch(1)]);
      const epochId = device.epochs[1].epochId;
      const other = await commit(store, device, [batch(1, { epoch: bytes16(8) })], { epochId });
      expect([...other.items]).toEqual([Stored]);
      expect((await store.audit(device.deviceId)).map((audit) => audit.stored)).toEqual([READINGS, READINGS]);
    });

    it('counts a position for each part that stores something', async () => {
      const one = await register(store, 'one');
      const two = await register(store, 'two');
      const parts = [part(one, [batch(1)]), part(two, [batch(1)]), part(one, [batch(7)]), part(one, [batch(1)])];
      const outcomes = await store.commit(parts, NOW_US);
      expect(outcomes).toMatchObject([{ position: 1 }, { position: 1 }, { position: 2 }, { position: 2 }]);
      expect(outcomes.map((outcome) => outcome.outcome === 'committed' && [...outcome.items])).toEqual([
        [Stored],
        [Stored],
        [Stored],
        [Duplicate],
      ]);
    });

    it('takes items of any size, and an empty part', async () => {
      const device = await register(store, 'd');
      const items = [
        batch(1, { body: new Uint8Array(0) }),
        batch(2, { body: new Uint8Array(100_000).fill(3) }),
        batch(3),
      ];
      await commit(store, device, items);
      expect((await commit(store, device, [])).position).toBe(1);
      const [stored] = await store.readAfter(device.deviceId, 0, 1);
      expect(stored.items.map(plain)).toEqual(items.map(plain));
    });

    it('keeps what devices say of themselves', async () => {
      const device = await register(store, 'd');
      const said = { readingsProduced: 100, readingsWaiting: 60 };
      await commit(store, device, batches(1, 2), said);
      // The same stream goes on: its header's numbers come again, and what it stored is taken off them.
      await commit(store, device, batches(3, 3), said);
      const [listed] = await store.listDevices(0, 10);
      expect(listed).toMatchObject({ device: 'd', tenant: '', attributes: { site: 'north' }, agentVersion: '1.0.0' });
      expect(listed).toMatchObject({ itemsStored: 3, readingsStored: 30, readingsWaiting: 30, lastSeenUs: NOW_US });
      expect((await store.audit(undefined))[0]).toMatchObject({ produced: 30, waiting: 70 });
      expect(await store.listDevices(device.deviceId, 10)).toEqual([]);
    });
  });
}
