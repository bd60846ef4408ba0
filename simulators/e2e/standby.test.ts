import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LoopDisk } from '../faults/loop-disk.js';
import { lacking } from '../faults/needs.js';
import { KEEP_ALL, NumberedDevice } from '../faults/numbered-device.js';
import { Scene } from './scene.js';

const lack = lacking(['root', 'loop']);
if (lack !== undefined) process.stderr.write(`standby: skipped, ${lack}\n`);

/** More than the file system's journal and the buffer need. */
const DISK_BYTES = 16 << 20;
const TEST_MS = 90_000;

describe.skipIf(lack !== undefined)('an agent whose disk takes nothing any more', () => {
  let folder = '';
  let disk: LoopDisk;
  let scene: Scene | undefined;

  afterEach(async () => {
    await scene?.close();
    disk.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function begun(name: string): Promise<NumberedDevice> {
    folder = mkdtempSync(join(tmpdir(), 'standby-'));
    disk = new LoopDisk(folder, 'disk', DISK_BYTES);
    scene = await Scene.open(name, () => KEEP_ALL);
    await scene.rig.device('device');
    const buffer = { path: join(disk.mountPoint, 'buffer.db'), standby: { after: '1s' } };
    return new NumberedDevice(scene, 'device', { buffer });
  }

  /** Until so many more items are acknowledged, with the buffer where it should be. */
  async function delivers(isOnStandby: boolean): Promise<void> {
    const { uplink } = await scene!.status('device');
    await scene!.untilStatus(
      'device',
      isOnStandby ? 'it delivers from memory' : 'it delivers from the disk',
      (status) =>
        (status.buffer.standby === true) === isOnStandby &&
        status.uplink.itemsAcknowledged > uplink.itemsAcknowledged + 5,
    );
  }

  it(
    'goes on delivering from memory, and from the disk when that takes writes again',
    async () => {
      const device = await begun('standby');
      await device.start();
      await delivers(false);
      disk.abort();
      await delivers(true);
      const { buffer } = await scene!.status('device');
      expect(buffer.trouble).toMatch(/the disk refused/);
      // What waits in memory is not left behind.
      scene!.cutLink();
      await scene!.untilStatus('device', 'it waits in memory', (status) => status.buffer.items > 10);
      disk.replace();
      scene!.proxy.heal();
      await delivers(false);
      expect((await scene!.status('device')).buffer.trouble).toBeUndefined();
      const { counts, problems } = await device.settleContents();
      expect(problems).toEqual([]);
      expect(counts).toMatchObject({ missing: 0, duplicates: 0, altered: 0 });
      expect(counts.stored).toBe(counts.produced);
    },
    TEST_MS,
  );

  it(
    'delivers from memory after a start on such a disk, and uses the disk at the next start',
    async () => {
      const device = await begun('standby-start');
      disk.abort();
      await device.start();
      await delivers(true);
      expect(await scene!.stopAgent('device')).toBe(0);
      disk.replace();
      // Nothing of it lies on the disk.
      device.ledger.waiting(undefined);
      await device.start();
      await delivers(false);
      const { counts, problems } = await device.settleContents();
      expect(problems).toEqual([]);
      expect(counts).toMatchObject({ missing: 0, duplicates: 0, altered: 0 });
      expect(counts.stored).toBe(counts.produced);
    },
    TEST_MS,
  );
});
