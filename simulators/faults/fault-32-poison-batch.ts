import { ItemKind, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { itemChecksum } from '@tributary/proto/items/item';
import Database from 'better-sqlite3';
import type { Scene } from '../e2e/scene.js';
import { freePort, readMetrics } from '../rig/collector-metrics.js';
import { until } from '../rig/until.js';
import { Durations } from './durations.js';
import type { Fault } from './fault.js';
import { type NumberedDevice, withDevice } from './numbered-device.js';

/** What the row demands. */
const MOVED_ON_MS_MAX = 60_000;

const ROWS = 4000;

/** Where the collector counts it; the agent's own count is in its status. */
const REJECTED = 'rejected_total{reason="malformed"}';

export const poisonBatch: Fault = {
  number: 32,
  title: 'poison batch',
  times: 20,
  shortTimes: 2,
  run: async ({ times, random, log, patience }) => {
    const metricsPort = await freePort();
    const act = async (device: NumberedDevice, scene: Scene) => {
      const problems: string[] = [];
      const moved = new Durations();
      let poisoned = 0;
      let quarantined = 0;
      for (let time = 0; time < times; time++) {
        scene.cutLink();
        await device.start(device.ledger.next(ROWS, false));
        await scene.untilStatus(
          'device',
          'the table is in the buffer',
          ({ sources, readings }) => sources[0]?.state === 'finished' && readings.pending === 0,
        );
        await scene.stopAgent('device');
        device.note();
        poisoned += poison(device.bufferPath, random);
        scene.proxy.heal();
        await scene.agent('device', [], device.settings);
        const beginsMs = performance.now();
        await until(
          'the queue has moved on',
          async () => (await scene.status('device')).buffer.readings === 0,
          MOVED_ON_MS_MAX * patience,
        );
        moved.add(performance.now() - beginsMs);
        quarantined = (await scene.status('device')).buffer.itemsQuarantined;
        await scene.stopAgent('device');
        log(`${time + 1} poisoned batches`);
      }
      await scene.settle('device', device.settings);
      if (quarantined !== times) problems.push(`${quarantined} of ${times} poisoned batches are in quarantine`);
      const { [REJECTED]: rejections } = await readMetrics(metricsPort, [REJECTED]);
      if (rejections !== times) problems.push(`the collector counts ${rejections} rejections, not ${times}`);
      const declared = (await scene.observer.audit('device')).flatMap((epoch) => epoch.declared);
      const rejected = declared.filter(({ reason }) => reason === LossReason.REJECTED);
      const readings = rejected.reduce((sum, one) => sum + one.readings, 0);
      if (readings !== poisoned) problems.push(`${readings} readings are declared as rejected, not ${poisoned}`);
      const { counts, problems: wrong } = await device.compare();
      const figures = `${poisoned} readings in ${times} batches, ${moved.text('moved on')}`;
      return { ...counts, problems: [...problems, ...wrong], figures };
    };
    return withDevice('f32', act, { collector: { health: { listen: `127.0.0.1:${metricsPort}` } } });
  },
};

interface Row {
  epoch: Buffer;
  sequence: number;
  readings: number;
  before: number;
  body: Buffer;
}

/** Makes nonsense of one batch that waits, with a checksum that is right for it. Answers how many readings were in it. */
function poison(path: string, random: () => number): number {
  const db = new Database(path);
  try {
    const columns = 'epoch, sequence, readings, readings_before AS "before", body';
    const rows = db
      .prepare(`SELECT ${columns} FROM items, state WHERE kind = ? AND readings > 0 ORDER BY sequence`)
      .all(ItemKind.BATCH) as Row[];
    const row = rows[Math.floor(rows.length * random())]!;
    const body = Buffer.alloc(row.body.length, 0xff);
    const checksum = itemChecksum(row.epoch, row.sequence, ItemKind.BATCH, row.readings, row.before, body);
    db.prepare('UPDATE items SET body = ?, checksum = ? WHERE sequence = ?').run(body, checksum, row.sequence);
    return row.readings;
  } finally {
    db.close();
  }
}
