import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { incidentId } from '@tributary/core/rules/incident-id';
import { type Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import { itemChecksum } from '@tributary/proto/items/item';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import type { CheckedItem } from '../store/store.js';
import { DerivedPipeline } from './pipeline.js';
import { storedTransition } from './stored-transition.js';
import { TestDevice } from './test-device.js';

const { FIRING, RESOLVED } = AlertState;
const EPOCH = new Uint8Array(16).fill(7);
const logger = pino({ level: 'silent' });

let folder: string;
let store: SqliteStore;
let device: TestDevice;
const woken: number[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tributary-adopted-'));
  store = await SqliteStore.open({ path: join(folder, 'store.db') });
  device = await new TestDevice(store, 'kiln').register();
  woken.length = 0;
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function pipeline(): DerivedPipeline {
  return new DerivedPipeline({
    store,
    rules: [],
    clock: { wallUs: () => 100_000_000e6 },
    scheduler: { nowMs: () => 0, setTimer: () => () => {} },
    logger,
    wake: (deviceId) => woken.push(deviceId),
  });
}

/** The item of a transition at a second, as ingest makes it of what a device sends. */
function item(sequence: number, second: number, state: AlertState, lane = Lane.LIVE, incident = 1): CheckedItem {
  const transition: IncidentTransition = {
    rule: 'nobody-knows-it',
    ruleVersion: 'v',
    seriesId: 1,
    state,
    onsetEpoch: EPOCH,
    onsetSequence: incident,
    onsetRow: 4,
    startedUs: incident * 1e6,
    startedSegment: 0,
    transitionUs: second * 1e6,
    transitionSegment: 0,
    value: 81,
    severity: 'critical',
    labels: { team: 'kiln' },
    annotations: { text: 'hot' },
    onsetGridUs: 0,
  };
  const body = IncidentTransition.encode(transition).finish();
  const checksum = itemChecksum(EPOCH, sequence, ItemKind.TRANSITION, 0, 0, body);
  const times = { firstUs: incident * 1e6, lastUs: second * 1e6, offsetUs: 0, quality: ClockState.SYNCHRONIZED };
  return { sequence, kind: ItemKind.TRANSITION, checksum, readings: 0, readingsBefore: 0, body, ...times, lane };
}

/** Commits, and hands a follower what ingest would. */
async function commitAndFollow(derived: DerivedPipeline, items: readonly CheckedItem[]): Promise<void> {
  const { deviceId, fencingToken, epochs } = device.registered;
  const { epochId, series } = epochs[0]!;
  const part = { deviceId, epochId, fencingToken, items, readingsProduced: 0, readingsWaiting: 0 };
  const [outcome] = await store.commit([part], 1);
  if (outcome?.outcome !== 'committed') throw new Error('not committed');
  const { position } = outcome;
  derived.adopt(items.map((one) => storedTransition(one, { deviceId, position }, series)!));
  derived.committed(deviceId, position);
}

const story = (all: readonly Alert[]) =>
  all.map(({ number, state, transitionAtUs, late }) => [number, AlertState[state], transitionAtUs / 1e6, late]);
const alerts = async () => (await store.listAlerts({ deviceId: device.deviceId, firingOnly: false }, 0, 100)).alerts;

describe("a device's own transition", () => {
  it('becomes an alert with the id that the device found, whoever knows the rule', async () => {
    const derived = pipeline();
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    await commitAndFollow(derived, [item(1, 5, FIRING), item(2, 9, RESOLVED)]);
    await derived.flush();
    const [firing] = await alerts();
    const series = { tenant: '', device: 'kiln', name: 'temperature', unit: 'Cel', labels: { room: 'a' } };
    const onset = { epoch: '07'.repeat(16), sequence: 1, row: 4, gridUs: 0 };
    expect(firing).toMatchObject({
      number: 1,
      rule: 'nobody-knows-it',
      authority: RuleAuthority.DEVICE,
      startedAtUs: 1e6,
      transitionAtUs: 5e6,
      labels: { team: 'kiln' },
      seriesLabels: { room: 'a' },
    });
    expect(Buffer.compare(firing!.incidentId, incidentId('nobody-knows-it', series, onset))).toBe(0);
    expect(story(await alerts())).toEqual([
      [1, 'FIRING', 5, false],
      [2, 'RESOLVED', 9, false],
    ]);
    expect(woken).toContain(device.deviceId);
    expect(derived.counters.transitionsAdopted).toBe(2);
    await derived.stop();
  });

  it('is adopted from what is stored by the process that comes after a crash, and once', async () => {
    const first = pipeline();
    await first.start();
    first.introduce(device.deviceId, device.name);
    await commitAndFollow(first, [item(1, 5, FIRING)]);
    // Killed before it saved anything but the alerts that it had stored.
    await new Promise((resolve) => setImmediate(resolve));
    for (let start = 0; start < 2; start++) {
      const next = pipeline();
      await next.start();
      expect(story(await alerts())).toEqual([[1, 'FIRING', 5, false]]);
    }
    const last = pipeline();
    await last.start();
    await commitAndFollow(last, [item(2, 9, RESOLVED)]);
    await last.flush();
    expect(story(await alerts())).toHaveLength(2);
    await last.stop();
  });

  it('that comes as history pages nobody, unless it is said once more as it goes on', async () => {
    const derived = pipeline();
    await derived.start();
    derived.introduce(device.deviceId, device.name);
    const { BACKFILL } = Lane;
    await commitAndFollow(derived, [item(1, 5, FIRING, BACKFILL), item(2, 9, RESOLVED, BACKFILL)]);
    await commitAndFollow(derived, [item(3, 15, FIRING, BACKFILL, 2)]);
    await derived.flush();
    expect(story(await alerts()).map(([number]) => number)).toEqual([0, 0, 0]);
    await commitAndFollow(derived, [item(4, 15, FIRING, Lane.LIVE, 2)]);
    await commitAndFollow(derived, [item(5, 30, RESOLVED, BACKFILL, 2)]);
    await derived.flush();
    expect(story(await alerts()).slice(3)).toEqual([
      [1, 'FIRING', 15, false],
      [2, 'RESOLVED', 30, false],
    ]);
    const { incidents } = await store.readIncidents({ openOnly: false, withRetracted: true }, '', 10);
    expect(incidents.map(({ notified, resolvedAtUs }) => [notified, resolvedAtUs])).toEqual([
      [true, 30e6],
      [false, 9e6],
    ]);
    await derived.stop();
  });
});
