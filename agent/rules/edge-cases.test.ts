import { CASE_START_US, type EdgeCase, edgeCases } from '@tributary/core/rules/edge-cases';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { RulesBench } from './rules-bench.js';

/** Time has passed for a device's rules when a source could not bring anything from before any more. */
const LATENESS_US = 1_000_000;
const TICK_MS = 1000;

/** Why a row of the table says nothing about a device; undefined where it does. */
function notForDevices({ rule, fields, events }: EdgeCase): string | undefined {
  if (typeof rule.absent === 'object' && rule.absent.of === 'device') return 'a device cannot tell that it is absent';
  const isOpen = events.some(({ kind }) => kind === 'hole') && !events.some(({ kind }) => kind === 'resumed');
  // Readings are missing because the device did not look; from where it looks again none are.
  if (isOpen && /absent|count|sum/.test(JSON.stringify(fields))) return 'it knows from when on none are missing';
  const types = new Map<string, string>();
  for (const event of events) {
    if (event.kind !== 'reading') continue;
    const known = types.get(event.series) ?? typeof event.value;
    types.set(event.series, known);
    if (known !== typeof event.value) return 'a series has one type';
  }
  return undefined;
}

/** Runs a case through batcher, writer and buffer, and tells its transitions as `storyOf` does. */
async function storyOnDevice({ fields, events }: EdgeCase, flushesEach: boolean): Promise<string[]> {
  // The judging line is the monotonic one then, so that grids and seasons begin where the case says.
  const world = new RulesBench((bench) => bench.nowUs);
  world.leap(CASE_START_US - 1);
  world.start();
  const ofDevice = 'all' in fields || 'any' in fields;
  const select = ofDevice ? {} : { select: { name: 'x' } };
  const rule = { name: 'case', ...select, ...fields, evaluate: 'device' };
  world.rules.update('1', JSON.stringify({ rules: [rule] }));
  expect(world.rules.status).toMatchObject({ rules: 1, refused: [] });
  for (const event of events) {
    if (event.kind === 'reading') {
      world.leap(event.timeUs);
      await world.row(event.timeUs, { [event.series]: event.value });
      if (flushesEach) await world.flush();
    } else if (event.kind === 'hole') world.segment++;
    else if (event.kind === 'resumed') {
      // It is awake from there on.
      world.leap(event.timeUs - TICK_MS * 1000);
      world.scheduler.advance(TICK_MS);
      await world.settle();
    } else if (event.kind === 'until') {
      world.leap(event.timeUs + LATENESS_US - TICK_MS * 1000);
      world.scheduler.advance(TICK_MS);
      await world.settle();
    }
  }
  await world.flush();
  const seconds = (us: number) => (us - CASE_START_US) / 1e6;
  return world.items.map(({ transition: { state, startedUs, transitionUs, seriesId } }) => {
    const to = state === AlertState.FIRING ? 'firing' : 'resolved';
    const since = to === 'firing' && startedUs !== transitionUs ? ` since ${seconds(startedUs)}` : '';
    const name = world.series.find(({ id }) => id === seriesId)?.name ?? 'x';
    return `${to}@${seconds(transitionUs)}${since}${name === 'x' ? '' : ` by ${name}`}`;
  });
}

const rows = edgeCases().map((one) => [`${one.group}: ${one.name}`, one] as const);

describe.each([
  ['rows in one batch as long as nothing happens', false],
  ['rows in batches of their own', true],
])('the table of edge cases on a device, %s', (_, flushesEach) => {
  for (const [name, one] of rows) {
    const why = notForDevices(one);
    if (why !== undefined) continue;
    it(name, async () => {
      expect(await storyOnDevice(one, flushesEach)).toEqual(one.expected);
    });
  }
});

describe('the table of edge cases on a device', () => {
  it('has nearly all of it', () => {
    const left = rows.filter(([, one]) => notForDevices(one) !== undefined);
    expect(left.length).toBeLessThanOrEqual(rows.length / 8);
    expect(rows.length).toBeGreaterThanOrEqual(60);
  });
});
