import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RollupRows } from '../rollups/rollup-rows.js';
import type { Derived } from '../store/store.js';
import { portionsOf } from './derived-portions.js';

const rowsOf = ({ rollups, ruleStates }: Derived) => rollups.length + ruleStates.length;

const saves = fc
  .array(fc.record({ rollups: fc.nat(30), states: fc.nat(5), marked: fc.boolean() }), { minLength: 1, maxLength: 20 })
  .map((devices): Derived => {
    const rollups = new RollupRows(1);
    const ruleStates: Derived['ruleStates'][number][] = [];
    const marks = [{ deviceId: 100, position: 1 }];
    for (const [at, device] of devices.entries()) {
      const deviceId = at + 1;
      // Only a device with a commit has rollups.
      if (device.marked) marks.push({ deviceId, position: at * 10 });
      const count = device.marked ? device.rollups : 0;
      for (let row = 0; row < count; row++) {
        const index = rollups.open(deviceId, 7, 60, row * 60);
        const time = row * 60e6;
        const gain = { count: 1, min: row, max: row, mean: row, m2: 0, first: row, firstUs: time, last: row };
        rollups.merge(index, { ...gain, lastUs: time });
      }
      for (let state = 0; state < device.states; state++) {
        ruleStates.push({ deviceId, seriesId: state, rule: 'r', state: '{}' });
      }
    }
    return { marks, rollups, ruleStates };
  });

/** Every row with its device, as texts. */
function contents(portions: readonly Derived[]): string[] {
  const found: string[] = [];
  for (const { marks, rollups, ruleStates } of portions) {
    for (const mark of marks) found.push(`mark ${JSON.stringify(mark)}`);
    for (let row = 0; row < rollups.length; row++) {
      const { deviceId, stepSeconds, start, count, mean, lastUs } = rollups;
      const values = [deviceId, stepSeconds, start, count, mean, lastUs].map((column) => column[row]);
      found.push(`rollup ${values.join(' ')}`);
    }
    for (const state of ruleStates) found.push(`state ${JSON.stringify(state)}`);
  }
  return found.sort();
}

it('divides a save without losing, doubling or parting a device from its mark', () => {
  fc.assert(
    fc.property(saves, fc.integer({ min: 1, max: 60 }), (derived, rowsMax) => {
      const portions = portionsOf(derived, rowsMax);
      expect(contents(portions)).toEqual(contents([derived]));
      const markedSomewhere = new Set(derived.marks.map(({ deviceId }) => deviceId));
      for (const portion of portions) {
        const marked = new Set(portion.marks.map(({ deviceId }) => deviceId));
        expect(marked.size).toBeGreaterThan(0);
        for (let row = 0; row < portion.rollups.length; row++) {
          expect(marked.has(portion.rollups.deviceId[row]!)).toBe(true);
        }
        for (const { deviceId } of portion.ruleStates) {
          expect(marked.has(deviceId) || !markedSomewhere.has(deviceId)).toBe(true);
        }
        // More rows than that only where one device has them.
        if (portion.marks.length > 1 && portion !== portions[0]) expect(rowsOf(portion)).toBeLessThanOrEqual(rowsMax);
      }
    }),
    { seed: 33 },
  );
});
