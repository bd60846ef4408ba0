import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DeclaredRange, EpochBalancer } from './epoch-audit.js';

const range = (
  first: number,
  last: number,
  readings: number,
  reason = LossReason.EVICTED,
  bound = false,
): DeclaredRange => ({ first, last, readings, bound, reason });

describe('EpochBalancer', () => {
  it('knows the size of an undeclared gap from its neighbours', () => {
    const balancer = new EpochBalancer([]);
    balancer.stored(1, 10, 0);
    balancer.stored(4, 10, 35);
    expect(balancer.finish(4, 45)).toEqual({ produced: 45, stored: 20, declared: [], missing: 25, doubled: 0 });
  });

  it('counts readings before the first item it has', () => {
    const balancer = new EpochBalancer([]);
    balancer.stored(3, 10, 20);
    expect(balancer.finish(3, 30).missing).toBe(20);
  });

  it('makes a bound exact where the neighbours say more', () => {
    const balancer = new EpochBalancer([range(2, 3, 999, LossReason.CORRUPT, true)]);
    balancer.stored(1, 10, 0);
    balancer.stored(4, 10, 35);
    expect(balancer.finish(4, 45)).toEqual({
      produced: 45,
      stored: 20,
      declared: [{ reason: LossReason.CORRUPT, readings: 25, bound: false }],
      missing: 0,
      doubled: 0,
    });
  });

  it('reports a bound after the last item as a bound', () => {
    const balancer = new EpochBalancer([range(2, 9, 70, LossReason.CRASH_WINDOW, true)]);
    balancer.stored(1, 10, 0);
    expect(balancer.finish(1, 10)).toEqual({
      produced: 80,
      stored: 10,
      declared: [{ reason: LossReason.CRASH_WINDOW, readings: 70, bound: true }],
      missing: 0,
      doubled: 0,
    });
  });

  it('lets stored beat declared, before and after', () => {
    const balancer = new EpochBalancer([range(2, 4, 30), range(2, 4, 30)]);
    balancer.stored(1, 10, 0);
    balancer.stored(3, 10, 20);
    balancer.stored(5, 10, 40);
    expect(balancer.finish(5, 50)).toEqual({
      produced: 50,
      stored: 30,
      declared: [{ reason: LossReason.EVICTED, readings: 20, bound: false }],
      missing: 0,
      doubled: 0,
    });
  });

  it('does not let a bound explain an undeclared sequence away', () => {
    const balancer = new EpochBalancer([range(2, 2, 1000, LossReason.CORRUPT, true)]);
    balancer.stored(1, 10, 0);
    balancer.stored(4, 10, 30);
    const balance = balancer.finish(4, 40);
    expect(balance.missing).toBeGreaterThan(0);
    expect(balance.declared[0].bound).toBe(true);
    expect(balance.produced).toBe(40);
  });

  it('finds what its intervals have and its chunks do not', () => {
    const balancer = new EpochBalancer([]);
    balancer.stored(1, 10, 0);
    expect(balancer.finish(3, 30)).toMatchObject({ produced: 30, stored: 10, missing: 20 });
  });

  it('counts what stands twice as doubled and not as stored', () => {
    const balancer = new EpochBalancer([]);
    balancer.stored(1, 10, 0);
    balancer.stored(2, 10, 10);
    balancer.stored(2, 10, 10);
    expect(balancer.finish(2, 20)).toMatchObject({ produced: 20, stored: 20, missing: 0, doubled: 10 });
  });

  it('balances any history of items that are stored, declared, expired or lost', () => {
    const fate = fc.constantFrom('stored', 'evicted', 'corrupt', 'expired', 'lost');
    const history = fc.array(fc.record({ fate, readings: fc.nat({ max: 50 }) }), { maxLength: 30 });
    fc.assert(
      fc.property(history, (items) => {
        const sums = { stored: 0, evicted: 0, corrupt: 0, expired: 0, lost: 0 };
        let total = 0;
        const placed = items.map((item, at) => {
          const before = total;
          total += item.readings;
          sums[item.fate as keyof typeof sums] += item.readings;
          return { ...item, sequence: at + 1, before };
        });
        // A closing item is stored, so that everything before it is known.
        placed.push({ fate: 'stored', readings: 7, sequence: items.length + 1, before: total });
        const declared = placed.flatMap((item) =>
          item.fate === 'evicted' || item.fate === 'corrupt'
            ? [
                range(
                  item.sequence,
                  item.sequence,
                  item.readings,
                  item.fate === 'evicted' ? LossReason.EVICTED : LossReason.CORRUPT,
                ),
              ]
            : [],
        );
        const balancer = new EpochBalancer(declared);
        for (const item of placed) {
          if (item.fate === 'stored') balancer.stored(item.sequence, item.readings, item.before);
          if (item.fate === 'expired') balancer.expired(item.sequence, item.sequence, item.readings, item.before);
        }
        const balance = balancer.finish(items.length + 1, total + 7);
        const of = (reason: LossReason) => balance.declared.find((loss) => loss.reason === reason)?.readings ?? 0;
        expect(balance.produced).toBe(total + 7);
        expect(balance.stored).toBe(sums.stored + 7);
        expect(balance.missing).toBe(sums.lost);
        expect(of(LossReason.EVICTED)).toBe(sums.evicted);
        expect(of(LossReason.CORRUPT)).toBe(sums.corrupt);
        expect(of(LossReason.EXPIRED)).toBe(sums.expired);
        expect(balance.declared.every((loss) => !loss.bound)).toBe(true);
      }),
      { seed: 21, numRuns: 1000 },
    );
  });
});
