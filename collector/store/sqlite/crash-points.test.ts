import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { afterAll, describe, expect, it } from 'vitest';
import { bytes16, NOW_US, READINGS, register } from '../conformance/data.js';
import { SqliteStore } from './sqlite-store.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-points-'));
afterAll(() => rmSync(folder, { recursive: true }));

const fixture = fileURLToPath(new URL('./crash-points.fixture.js', import.meta.url));

function run(path: string, ...point: string[]): { signal: string | null; status: number | null; lines: string[] } {
  const { signal, status, stdout } = spawnSync(process.execPath, [fixture, path, ...point], { encoding: 'utf8' });
  return { signal, status, lines: stdout.split('\n').filter((line) => line !== '') };
}

/** Each change of a table that a step of a store's life makes, and how often it is passed before the process ends there. */
const points = [
  ['INSERT', 'epochs', [1]],
  ['INSERT', 'chunks', [14]],
  ['UPDATE', 'intervals', [12]],
  ['UPDATE', 'devices', [14]],
  ['UPDATE', 'epochs', [18]],
  ['INSERT', 'ledger', [1, 4]],
  ['INSERT', 'thinned', [1]],
  ['DELETE', 'thinned', [1]],
  ['INSERT', 'receivers', [1]],
  ['INSERT', 'alerts', [2, 6]],
  ['INSERT', 'incidents', [2]],
  ['UPDATE', 'incidents', [1, 8]],
  ['INSERT', 'incident_events', [1, 4, 7, 11]],
  ['INSERT', 'notifications', [2, 3]],
  ['UPDATE', 'notifications', [1, 4]],
  ['DELETE', 'notifications', [1]],
  ['DELETE', 'incidents', [1]],
  ['INSERT', 'rollups', [1]],
  ['DELETE', 'chunks', [1, 14]],
  ['answer', 'any', [13, 15]],
] as const;

const cases = points.flatMap(([change, table, times]) => times.map((nth) => [change, table, nth] as const));

const TOLD = ['told 1 mail: firing', 'told 1 mail: resolved', 'told 2 mail: firing', 'told 2 mail: resolved'];

/** Whatever happened on the way: each event of an incident stands in its history once, and the ancient one has expired. */
async function expectIncidents(store: SqliteStore): Promise<void> {
  const { incidents } = await store.readIncidents({ openOnly: false, withRetracted: true }, '', 10);
  const kinds = await Promise.all(
    incidents.map(async ({ incidentId, events }) => {
      const history = await store.incidentEvents(incidentId);
      expect(events).toBe(history.length);
      return history.map(({ kind, text }) => `${IncidentEventKind[kind]} ${text}`.trim()).sort();
    }),
  );
  expect(incidents).toMatchObject([
    { incidentId: bytes16(2), resolvedBy: 'ada', acknowledgedBy: 'ada' },
    { incidentId: bytes16(1), resolvedBy: '' },
  ]);
  const common = [
    'DELIVERED firing',
    'DELIVERED resolved',
    'FIRED',
    'NOTIFIED mail: firing',
    'NOTIFIED mail: resolved',
  ];
  expect(kinds).toEqual([
    ['ACKNOWLEDGED', ...common, 'RESOLVED_BY_HAND'],
    [`CORRECTED it ended at ${iso(5)}, not at ${iso(1)}`, ...common, 'RESOLVED'],
  ]);
}

function iso(seconds: number): string {
  return new Date(NOW_US / 1000 + seconds * 1000).toISOString();
}

describe('a store whose process is killed', () => {
  it.each(cases)(
    'at %s %s, time %i, has what was answered, and ends as if nothing had been',
    async (change, table, nth) => {
      const path = join(folder, `${change}-${table}-${nth}.db`);
      const killed = run(path, change, table, String(nth));
      expect(killed).toMatchObject({ signal: 'SIGKILL' });
      const answered = killed.lines.flatMap((line) => (line.startsWith('durable ') ? [Number(line.slice(8))] : []));
      // Looked at in a copy, so that recovery is what the second run meets.
      for (const suffix of ['', '-wal']) copyFileSync(`${path}${suffix}`, `${path}.copy${suffix}`);
      const store = await SqliteStore.open({ path: `${path}.copy` });
      const { epochs } = await register(store, 'd');
      for (const sequence of answered) {
        expect(epochs[0].ranges.some(({ first, last }) => first <= sequence && sequence <= last)).toBe(true);
      }
      for (const audit of await store.audit(undefined)) {
        expect(audit.doubled).toBe(0);
        // 16 is a gap until it is declared, 17 until it comes: the end of the store's life closes both.
        expect([0, READINGS, 2 * READINGS]).toContain(audit.missing);
      }
      await store.close();

      const again = run(path);
      expect(again).toMatchObject({ signal: null, status: 0 });
      const after = await SqliteStore.open({ path });
      const [audit] = await after.audit(undefined);
      const loss = (reason: LossReason) => audit.declared.find((one) => one.reason === reason)?.readings ?? 0;
      expect(audit).toMatchObject({ produced: 21 * READINGS, missing: 0, doubled: 0 });
      expect(loss(LossReason.THINNED)).toBe(24);
      expect(loss(LossReason.EVICTED)).toBe(READINGS);
      expect(audit.stored + loss(LossReason.EXPIRED)).toBe(21 * READINGS - 24 - READINGS);
      expect(loss(LossReason.EXPIRED)).toBeGreaterThan(0);
      const [device] = await after.listDevices(0, 1);
      expect(device.readingsStored).toBe(audit.stored);
      expect((await after.readAlerts(device.deviceId, 0, 10)).map(({ number }) => number)).toEqual([1, 2, 3, 4]);
      await expectIncidents(after);
      // The receiver was told of each transition, by this process or by the one before, and each was told at all.
      const told = [...killed.lines, ...again.lines].filter((line) => line.startsWith('told '));
      expect([...new Set(told)].sort()).toEqual(TOLD);
      expect(await after.receiverStates()).toEqual([{ receiver: 'mail', length: 0, oldestUs: undefined, dropped: 0 }]);
      expect([...(await after.readRollups(device.deviceId, 1, 60, 0, 1)).count]).toEqual([1]);
      await after.close();
    },
  );
});
