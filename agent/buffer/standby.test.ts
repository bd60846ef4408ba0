import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BufferCore } from './buffer-core.js';
import { MemoryItemTable } from './memory-item-table.js';
import { SqliteBuffer } from './sqlite-buffer.js';
import { Standby } from './standby.js';

const folder = mkdtempSync(join(tmpdir(), 'standby-'));
afterAll(() => rmSync(folder, { recursive: true }));

const epoch = (fill: number) => new Uint8Array(16).fill(fill);
const options = { afterMs: 300_000, quotaBytes: 1 << 20 };
const batch = { body: new Uint8Array(50), readings: 10 };

describe('the memory that takes the place of a disk', () => {
  it('begins when the disk has refused for long enough, without a break', () => {
    const standby = new Standby(options);
    const asked = (fromMs: number, untilMs: number) => {
      for (let nowMs = fromMs; nowMs < untilMs; nowMs += 5000) if (standby.refused(nowMs)) return nowMs;
      return undefined;
    };
    expect(asked(0, 250_000)).toBeUndefined();
    standby.taken();
    expect(asked(250_000, 500_000)).toBeUndefined();
    // Nobody had anything to write meanwhile, and nobody knows what the disk would have said.
    expect(asked(600_000, 895_000)).toBeUndefined();
    expect(asked(895_000, 1_000_000)).toBe(900_000);
  });

  it('has what the disk had declared, under the same ids, and nothing else of it', () => {
    const disk = new BufferCore(new MemoryItemTable(), 1 << 20, epoch(1));
    const series = disk.addSeries([
      { name: 'b', unit: '', labels: {}, type: 1 },
      { name: 'a', unit: 'V', labels: { x: '1' }, type: 1 },
    ]);
    disk.append([batch]);
    const standby = new Standby(options);
    const identity = standby.begin(disk, epoch(2), 'it is worn out');
    expect(identity).toMatchObject({ epoch: epoch(2), series, highestSequence: 0, standby: 'it is worn out' });
    expect(standby.core!.addSeries([{ name: 'c', unit: '', labels: {}, type: 1 }])).toMatchObject([{ id: 3 }]);
  });

  it('is left when everything has been delivered, and for a bounded time nothing is added before', () => {
    const standby = new Standby(options);
    const core = new BufferCore(new MemoryItemTable(), 1 << 20, epoch(1));
    let isOpen = false;
    const disk = {
      open: () => {
        isOpen = true;
        return core;
      },
      close: () => {
        isOpen = false;
      },
    };
    expect(standby.leave(0, disk)).toBeUndefined();
    standby.begin(core, epoch(2), 'it is worn out');
    const [series] = standby.core!.addSeries([{ name: 'c', unit: '', labels: {}, type: 1 }]);
    standby.core!.append([batch], undefined, { ruleNotes: [{ name: 'n', text: 't' }] });
    expect([standby.leave(1000, disk), standby.isDraining, isOpen]).toEqual([undefined, true, true]);
    expect([standby.leave(10_999, disk), standby.isDraining, isOpen]).toEqual([undefined, true, true]);
    expect([standby.leave(11_000, disk), standby.isDraining, isOpen]).toEqual([undefined, false, false]);
    expect([standby.leave(16_000, disk), standby.isDraining, isOpen]).toEqual([undefined, true, true]);
    standby.core!.acknowledge([{ first: 1, last: 1 }]);
    expect(standby.leave(16_050, disk)).toBe(core);
    expect([standby.core, standby.isDraining, isOpen]).toEqual([undefined, false, true]);
    expect(core.identity('clean')).toMatchObject({ epoch: epoch(1), series: [series], isSuspect: true });
    expect(core.ruleNotes()).toEqual([{ name: 'n', text: 't' }]);
  });

  it('goes on when the disk fails once more', () => {
    const standby = new Standby(options);
    standby.begin(undefined, epoch(1), 'it is worn out');
    let closed = 0;
    const open = (): never => {
      throw new Error('not mounted');
    };
    const close = () => {
      closed += 1;
    };
    expect(() => standby.leave(0, { open, close })).toThrow('not mounted');
    expect([standby.core !== undefined, standby.isDraining, closed]).toEqual([true, false, 1]);
  });
});

describe('a buffer whose disk refuses to be opened', () => {
  /** More than any file system takes. */
  const name = 'n'.repeat(400);
  const open = { path: join(folder, name), quotaBytes: 1 << 20, standby: options };

  it('is not opened before it has been tried for long enough', async () => {
    await expect(SqliteBuffer.open(open)).rejects.toMatchObject({ code: 'disk' });
    await expect(
      SqliteBuffer.open({ ...open, standby: undefined, standbyAtOnce: true } as never),
    ).rejects.toMatchObject({
      code: 'disk',
    });
  });

  it('keeps items in memory then, but nothing about alerts', async () => {
    const buffer = await SqliteBuffer.open({ ...open, standbyAtOnce: true });
    expect(buffer.identity).toMatchObject({ highestSequence: 0, standby: expect.stringContaining(name) });
    expect((await buffer.append([batch])).sequences).toEqual([1]);
    const { items, counts } = await buffer.read(1, 1000, 10);
    expect(items).toMatchObject([{ sequence: 1, readings: 10 }]);
    expect(counts).toMatchObject({ itemsWaiting: 1, quotaBytes: options.quotaBytes });
    await buffer.acknowledge([{ first: 1, last: 1 }], buffer.identity.epoch);
    expect(await buffer.status()).toMatchObject({ itemsWaiting: 0, readingsProduced: 10 });
    const { epoch: first } = buffer.identity;
    expect(await buffer.openEpoch()).toMatchObject({ highestSequence: 0, standby: expect.any(String) });
    expect(buffer.identity.epoch).not.toEqual(first);
    expect(await buffer.recallAlerts()).toMatchObject({ intents: [], statuses: [] });
    await expect(
      buffer.settleIntents([], [{ name: 'vent', value: 'open', incidents: 1 } as never]),
    ).rejects.toMatchObject({
      code: 'disk',
    });
    await buffer.close();
  });
});
