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

  it('leaves a bound that the device counted with a bound, whatever its neighbours say', () => {
    const balancer = new EpochBalancer([
      range(2, 9, 70, LossReason.CRASH_WINDOW, true),
      range(11, 12, 999, LossReason.CORRUPT, true),
    ]);
    balancer.stored(1, 10, 0);
    balancer.stored(10, 10, 80);
    balancer.stored(13, 10, 105);
    expect(balancer.finish(13, 115)).toEqual({
      produced: 115,
      stored: 30,
      declared: [
        { reason: LossReason.CORRUPT, readings: 15, bound: false },
        { reason: LossReason.CRASH_WINDOW, readings: 70, bound: true },
      ],
      missing: 0,
      doubled: 0,
    });
  });

  it('keeps the bound of a reserved block of which every sequence is stored', () => {
    const balancer = new EpochBalancer([range(2, 3, 70, LossReason.CRASH_WINDOW, true)]);
    balancer.stored(1, 10, 0);
    balancer.stored(2, 10, 10);
    balancer.stored(3, 10, 20);
    balancer.stored(4, 10, 80);
    expect(balancer.finish(4, 90)).toEqual({
      produced: 90,
      stored: 40,
      declared: [{ reason: LossReason.CRASH_WINDOW, readings: 50, bound: true }],
      missing: 0,
      doubled: 0,
    });
  });

  it('keeps the bound of a reserved block that damage declares again', () => {
    for (const isFirst of [true, false]) {
      const block = range(2, 3, 70, LossReason.CRASH_WINDOW, true);
      const damage = range(2, 3, 0, LossReason.CORRUPT, true);
      const balancer = new EpochBalancer(isFirst ? [block, damage] : [damage, block]);
      balancer.stored(1, 10, 0);
      balancer.stored(4, 10, 80);
      expect(balancer.finish(4, 90).declared).toEqual([{ reason: LossReason.CRASH_WINDOW, readings: 70, bound: true }]);
    }
  });

  it('takes what is stored of a reserved block off its bound, with and without items behind it', () => {
    for (const isFollowed of [true, false]) {
      const balancer = new EpochBalancer([range(2, 9, 70, LossReason.CRASH_WINDOW, true)]);
      balancer.stored(1, 10, 0);
      balancer.stored(2, 10, 10);
      balancer.stored(4, 10, 25);
      if (isFollowed) balancer.stored(10, 10, 80);
      const balance = isFollowed ? balancer.finish(10, 90) : balancer.finish(4, 35);
      expect(balance).toEqual({
        produced: isFollowed ? 90 : 80,
        stored: isFollowed ? 40 : 30,
        declared: [{ reason: LossReason.CRASH_WINDOW, readings: 50, bound: true }],
        missing: 0,
        doubled: 0,
      });
    }
  });

  it('tells a bound that was counted with from one beside it that was not, and from what is exact', () => {
    const balancer = new EpochBalancer([
      range(2, 3, 20, LossReason.CRASH_WINDOW, true),
      range(4, 4, 999, LossReason.CORRUPT, true),
      range(5, 5, 10, LossReason.EVICTED),
    ]);
    balancer.stored(1, 10, 0);
    balancer.stored(6, 10, 47);
    expect(balancer.finish(6, 57)).toMatchObject({
      produced: 57,
      declared: [
        { reason: LossReason.EVICTED, readings: 10, bound: false },
        { reason: LossReason.CORRUPT, readings: 7, bound: false },
        { reason: LossReason.CRASH_WINDOW, readings: 20, bound: true },
      ],
      missing: 0,
    });
  });

  it('keeps an exact count of a reason apart from a bound of the same', () => {
    const balancer = new EpochBalancer([
      range(2, 2, 4, LossReason.CRASH_WINDOW),
      range(3, 5, 30, LossReason.CRASH_WINDOW, true),
    ]);
    balancer.stored(1, 10, 0);
    balancer.stored(6, 10, 44);
    expect(balancer.finish(6, 54).declared).toEqual([
      { reason: LossReason.CRASH_WINDOW, readings: 4, bound: false },
      { reason: LossReason.CRASH_WINDOW, readings: 30, bound: true },
    ]);
  });

  it('calls an original doubled that stands beside what was kept of it', () => {
    const replaced = [{ first: 2, last: 2, kept: 3 }];
    const balancer = new EpochBalancer([range(2, 2, 7, LossReason.THINNED)], replaced);
    balancer.stored(1, 10, 0);
    balancer.stored(2, 10, 10);
    balancer.stored(3, 0, 20, 3);
    balancer.kept(3);
    expect(balancer.finish(3, 20).doubled).toBe(3);
  });

  it('calls nothing doubled that is declared thinned, and of which no stored item has kept anything', () => {
    // 2 is in a thinned item; so was 4, but that one was dropped, and the original had come after all.
    const declared = [
      range(2, 2, 7, LossReason.THINNED),
      range(4, 4, 7, LossReason.THINNED),
      range(4, 4, 3, LossReason.EVICTED),
    ];
    const balancer = new EpochBalancer(declared, [{ first: 2, last: 2, kept: 3 }]);
    balancer.stored(1, 10, 0);
    balancer.stored(3, 10, 20);
    balancer.stored(4, 10, 30);
    balancer.stored(5, 0, 40, 3);
    balancer.kept(3);
    const thinned = { reason: LossReason.THINNED, readings: 7, bound: false };
    expect(balancer.finish(5, 40)).toMatchObject({ stored: 33, declared: [thinned], missing: 0, doubled: 0 });
  });

  it('misses what a thinned batch kept when that is not there', () => {
    const balancer = new EpochBalancer([range(2, 2, 7, LossReason.THINNED)]);
    balancer.stored(1, 10, 0);
    balancer.stored(4, 10, 20);
    expect(balancer.finish(4, 30)).toMatchObject({
      produced: 30,
      stored: 20,
      declared: [{ reason: LossReason.THINNED, readings: 7, bound: false }],
      missing: 3,
    });
  });

  it('balances any history of items that are stored, declared, expired or lost', () => {
    const fate = fc.constantFrom('stored', 'evicted', 'corrupt', 'expired', 'lost', 'thinned', 'crashed', 'gone');
    const history = fc.array(fc.record({ fate, readings: fc.nat({ max: 50 }) }), { maxLength: 30 });
    fc.assert(
      fc.property(history, (items) => {
        const sums = { stored: 0, evicted: 0, corrupt: 0, expired: 0, lost: 0, thinned: 0, crashed: 0, gone: 0 };
        let total = 0;
        const placed = items.map((item, at) => {
          const before = total;
          total += item.readings;
          sums[item.fate as keyof typeof sums] += item.readings;
          return { ...item, sequence: at + 1, before };
        });
        // A closing item is stored, so that everything before it is known.
        placed.push({ fate: 'stored', readings: 7, sequence: items.length + 1, before: total });
        const keptOf = (readings: number) => readings >> 2;
        const evictedOf = placed.reduce((sum, item) => sum + (item.fate === 'gone' ? keptOf(item.readings) : 0), 0);
        const kept = placed.reduce((sum, item) => sum + (item.fate === 'thinned' ? keptOf(item.readings) : 0), 0);
        const declared = placed.flatMap(({ fate, sequence, readings }) => {
          if (fate === 'evicted') return [range(sequence, sequence, readings, LossReason.EVICTED)];
          if (fate === 'corrupt') return [range(sequence, sequence, readings, LossReason.CORRUPT)];
          if (fate === 'crashed') return [range(sequence, sequence, readings, LossReason.CRASH_WINDOW, true)];
          // A thinned batch that was evicted in its turn.
          if (fate === 'gone') {
            const kept = keptOf(readings);
            return [
              range(sequence, sequence, readings - kept, LossReason.THINNED),
              range(sequence, sequence, kept, LossReason.EVICTED),
            ];
          }
          if (fate === 'thinned') {
            return [range(sequence, sequence, readings - keptOf(readings), LossReason.THINNED)];
          }
          return [];
        });
        const balancer = new EpochBalancer(declared);
        for (const item of placed) {
          if (item.fate === 'stored') balancer.stored(item.sequence, item.readings, item.before);
          if (item.fate === 'expired') balancer.expired(item.sequence, item.sequence, item.readings, item.before);
        }
        balancer.stored(items.length + 2, 0, total + 7, kept);
        balancer.kept(kept);
        const balance = balancer.finish(items.length + 2, total + 7);
        const of = (reason: LossReason) => balance.declared.find((loss) => loss.reason === reason)?.readings ?? 0;
        expect(balance.produced).toBe(total + 7);
        expect(balance.stored).toBe(sums.stored + 7 + kept);
        expect(of(LossReason.THINNED)).toBe(sums.thinned - kept + sums.gone - evictedOf);
        expect(of(LossReason.CRASH_WINDOW)).toBe(sums.crashed);
        expect(balance.doubled).toBe(0);
        expect(balance.missing).toBe(sums.lost);
        expect(of(LossReason.EVICTED)).toBe(sums.evicted + evictedOf);
        expect(of(LossReason.CORRUPT)).toBe(sums.corrupt);
        expect(of(LossReason.EXPIRED)).toBe(sums.expired);
        expect(balance.declared.every((loss) => loss.bound === (loss.reason === LossReason.CRASH_WINDOW))).toBe(true);
      }),
      { seed: 21, numRuns: 1000 },
    );
  });
});
