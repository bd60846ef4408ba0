import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SeriesSpec, TimeLine } from '../sensors/source.js';
import { batcher, put, readings, type Seen, spec, takeAll, type Value } from './batcher-harness.js';

describe('Batcher', () => {
  it('gives everything that went in out again, once, in order, with its time and value', () => {
    const value = fc.oneof(fc.double(), fc.constantFrom(-0, Number.NaN, Infinity, -Infinity, 21.5));
    const text = fc.string({ maxLength: 6, unit: 'binary' });
    const step = fc.record({
      group: fc.nat(2),
      timeUs: fc.oneof(fc.integer({ min: -1000, max: 100_000 }), fc.constant(Number.MAX_SAFE_INTEGER - 1)),
      double: fc.option(value, { nil: undefined }),
      boolean: fc.option(fc.boolean(), { nil: undefined }),
      string: fc.option(text, { nil: undefined }),
      extra: fc.option(fc.record({ series: fc.nat(20), value }), { nil: undefined }),
      clockUs: fc.nat(300),
      segment: fc.nat(9),
      take: fc.boolean(),
    });
    const lines: TimeLine[] = ['monotonic', 'absolute', 'monotonic'];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 20 }), (steps, limit) => {
        const { host, batcher: all } = batcher({ readings: limit, bytes: 300, ageUs: 1000, pendingReadings: 10_000 });
        const sinks = lines.map((line) => all.openGroup(line));
        const expected = new Map<number, Seen[]>();
        const got = new Map<number, Seen[]>();
        const add = (to: Map<number, Seen[]>, seen: Seen) => to.set(seen.id, [...(to.get(seen.id) ?? []), seen]);
        const take = () => {
          for (const taken of takeAll(all)) {
            for (const seen of readings(taken)) add(got, seen);
            taken.release();
          }
        };
        for (const each of steps) {
          host.clockUs += each.clockUs;
          host.segment = each.segment === 0 ? host.segment + 1 : host.segment;
          all.tick(host.clockUs);
          const sink = sinks[each.group];
          const absolute = lines[each.group] === 'absolute';
          sink.begin(each.timeUs);
          const give = (name: string, type: SeriesSpec['type'], given: Value | undefined) => {
            if (given === undefined) return;
            const its = spec(`${each.group}.${name}`, type);
            put(sink, sink.addSeries(its), given);
            const id = host.registry.idOf(its);
            if (typeof id === 'number') {
              add(expected, { id, segment: absolute ? 0 : host.segment, timeUs: each.timeUs, value: given });
            }
          };
          give('double', 'double', each.double);
          give('boolean', 'boolean', each.boolean);
          give('string', 'string', each.string);
          if (each.extra !== undefined) give(`x${each.extra.series}`, 'double', each.extra.value);
          sink.end();
          if (each.take) take();
        }
        all.flush();
        take();
        expect(all.pendingReadings).toBe(0);
        expect(host.drops).toEqual({});
        expect(new Map([...got].sort(([a], [b]) => a - b))).toEqual(new Map([...expected].sort(([a], [b]) => a - b)));
      }),
      { seed: 7, numRuns: 300 },
    );
  });
});
