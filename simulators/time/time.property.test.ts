import { seededRandom } from '@tributary/core/clock/random';
import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimedDevice, type TimedReading } from './timed-device.js';

const YEAR_US = 365.25 * 86_400e6;

const action = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('run' as const), seconds: fc.integer({ min: 5, max: 900 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('step' as const),
      us: fc.constantFrom(YEAR_US, -3_600e6, 60e6, -60e6, -20 * YEAR_US, 7_200e6),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sync' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('sleep' as const), seconds: fc.integer({ min: 5, max: 50_000 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('connect' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);
const boot = fc.record({
  wallErrorUs: fc.constantFrom(-20 * YEAR_US, 0, -3_600e6, YEAR_US, 1_500_000),
  offSeconds: fc.integer({ min: 5, max: 100_000 }),
  actions: fc.array(action, { maxLength: 6 }),
});

type ActionOf =
  | { do: 'run' | 'sleep'; seconds: number }
  | { do: 'step'; us: number }
  | { do: 'sync' }
  | { do: 'connect' }
  | { do: 'restart' };

/** What somebody vouches for in each segment, by its number: known from the sequence of what happened alone. */
interface Known {
  /** Segment ids in which the device was synchronised or connected, or that follow such a one of the same boot by a sleep. */
  segments: Set<number>;
}

async function live(
  boots: readonly { wallErrorUs: number; offSeconds: number; actions: readonly ActionOf[] }[],
  seed: number,
) {
  const device = new TimedDevice(seededRandom(seed));
  const known: Known = { segments: new Set() };
  const { machine } = device;
  for (const { wallErrorUs, offSeconds, actions } of boots) {
    const done = new Set<ActionOf['do']>();
    device.trueUs += offSeconds * 1e6;
    await device.boot(wallErrorUs);
    await device.run(20);
    for (const each of actions) {
      // What a clock was set by and what the machine slept look the same to an agent that starts after both.
      if (each.do === 'restart' && done.has('sleep') && done.has('step')) continue;
      done.add(each.do);
      if (each.do === 'run') await device.run(each.seconds);
      else if (each.do === 'step') machine.step(each.us);
      else if (each.do === 'sync') {
        machine.synchronize();
        await device.look();
        known.segments.add(device.segments);
      } else if (each.do === 'connect') {
        await device.connect();
        known.segments.add(device.segments);
      } else if (each.do === 'restart') {
        const before = device.segments;
        await device.start();
        // A boot that has slept begins a segment with each start: nobody knows what was slept in between.
        if (device.segments !== before && machine.synchronizedAtUs() !== undefined) await device.look();
      } else {
        const wasKnown = known.segments.has(device.segments);
        await device.sleep(each.seconds);
        if (wasKnown) known.segments.add(device.segments);
      }
      await device.look();
    }
  }
  // At last the time is known.
  device.trueUs += 10e6;
  await device.boot(-20 * YEAR_US);
  await device.run(20);
  await device.connect();
  known.segments.add(device.segments);
  return { device, known };
}

function bySegment(readings: readonly TimedReading[]): Map<number, TimedReading[]> {
  const found = new Map<number, TimedReading[]>();
  for (const reading of readings) found.set(reading.segment, [...(found.get(reading.segment) ?? []), reading]);
  return found;
}

describe('time, from the clock of the device to what the collector stores', () => {
  it('is right to a second where anybody knew it, in order everywhere, and says how it is known', async () => {
    let worstUs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(boot, { minLength: 1, maxLength: 8 }), fc.integer(), async (boots, seed) => {
        const { device, known } = await live(boots, seed);
        const { readings } = device;
        for (const { eventUs, trueUs, quality, segment } of readings) {
          if (eventUs === undefined) throw new Error('a reading was not uploaded');
          if (quality === ClockState.PLACED) {
            expect(known.segments.has(segment)).toBe(false);
            continue;
          }
          expect([ClockState.SYNCHRONIZED, ClockState.ESTIMATED]).toContain(quality);
          worstUs = Math.max(worstUs, Math.abs(eventUs - trueUs));
          expect(Math.abs(eventUs - trueUs)).toBeLessThanOrEqual(1_000_000);
        }
        for (const segment of known.segments) {
          for (const { quality } of bySegment(readings).get(segment) ?? []) expect(quality).not.toBe(ClockState.PLACED);
        }
        let lastUs = Number.NEGATIVE_INFINITY;
        for (const [, of] of [...bySegment(readings)].sort(([a], [b]) => a - b)) {
          const events = of.map(({ eventUs }) => eventUs as number);
          // Corrections of a known line move what comes later by less than a second.
          for (const [at, us] of events.entries()) if (at > 0) expect(us).toBeGreaterThan(events[at - 1]! - 1_000_000);
          expect(Math.min(...events)).toBeGreaterThan(lastUs);
          lastUs = Math.max(...events);
        }
      }),
      { seed: 3839, numRuns: 150 },
    );
    expect(worstUs).toBeGreaterThan(0);
  }, 120_000);
});
