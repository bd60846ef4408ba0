import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseNotation, SLOTS_MAX, type Slot, timedSlots } from './series-notation.js';

/** A reading as its value, nothing as `_`, what was lost as `lost`; a time as `@ms`. */
function plain(source: string): unknown[] {
  const result = parseNotation(source);
  if (!result.ok) return [result];
  return result.notation.segments.flatMap(({ startMs, runs }, index) => [
    ...(index === 0 ? [] : [`@${startMs}`]),
    ...runs
      .flatMap(({ count, slot }) => Array.from({ length: count }, (_, at) => slot(at)))
      .map((slot: Slot) => (slot.kind === 'reading' ? slot.value : slot.kind === 'lost' ? 'lost' : '_')),
  ]);
}

const values: [source: string, expected: unknown[]][] = [
  ['20', [20]],
  ['20 21x3 _ 22', [20, 21, 21, 21, '_', 22]],
  ['  20\n\t21  ', [20, 21]],
  ['-3.5 1e3 1e+3 1E-2', [-3.5, 1000, 1000, 0.01]],
  ['-0', [-0]],
  ['20+0.5x4', [20, 20.5, 21, 21.5]],
  ['20-0.5x3', [20, 19.5, 19]],
  ['20+0.1x4', [20, 20.1, 20.2, 20.3]],
  ['0+1e-3x3', [0, 0.001, 0.002]],
  ['1e3+1e2x3', [1000, 1100, 1200]],
  ['5+0x2', [5, 5]],
  ['NaN Inf +Inf -Inf', [Number.NaN, Infinity, Infinity, -Infinity]],
  ['NaNx2 _x3', [Number.NaN, Number.NaN, '_', '_', '_']],
  ['true falsex2', [true, false, false]],
  ['"open" "a b" "\\"x\\""x2', ['open', 'a b', '"x"', '"x"']],
  ['""', ['']],
  ['1 lost 2 lostx2', [1, 'lost', 2, 'lost', 'lost']],
  ['1 2 @5m 3 @400s 4', [1, 2, '@300000', 3, '@400000', 4]],
  ['@10s 1', ['@10000', 1]],
  ['_x2', ['_', '_']],
];

const problems: [source: string, at: number, problem: RegExp][] = [
  ['', 0, /no readings/],
  ['   ', 0, /no readings/],
  ['@5m', 0, /no readings/],
  ['20 21y 22', 5, /`21y` goes on where it should end/],
  ['20 open', 3, /`open` is no value; write .*"text"/],
  ['20 "open', 3, /no closing quote/],
  ['"a""b"', 3, /goes on where it should end/],
  ['"\\q"', 0, /is no text as JSON has it/],
  ['1 2..3', 3, /`2\.\.3` goes on/],
  ['1 .5', 2, /`\.5` is no value/],
  ['1x', 1, /x without a count/],
  ['1x0', 1, /x without a count/],
  ['1x2x3', 3, /goes on/],
  ['20+0.5', 0, /has a step and no count; write 20\+0\.5x10/],
  ['1 20+0.5 3', 2, /has a step and no count/],
  ['1 truex2 0', 2, /a boolean in a series of doubles/],
  ['"a" 1', 4, /a double in a series of strings/],
  ['1 @5 2', 2, /@5 is no time; .*@90s/],
  ['1 @ 2', 2, /@ is no time/],
  ['1x100001', 1, /too many/],
  ['1x99999 2x2', 8, /more than 100000 slots/],
  ['1e999', 0, /write Inf/],
  ['_a', 0, /`_a` is no value/],
  ['lostly', 0, /`lostly` is no value/],
  ['nan', 0, /`nan` is no value/],
  ['1,2', 1, /goes on/],
];

describe('the notation of a series', () => {
  it.each(values)('%j is read', (source, expected) => {
    expect(plain(source)).toEqual(expected);
  });

  it.each(problems)('%j is refused at character %d', (source, at, problem) => {
    const result = parseNotation(source);
    expect(result).toMatchObject({ ok: false, at });
    expect((result as { problem: string }).problem).toMatch(problem);
  });

  it('has the type of its values, double where there are none', () => {
    for (const [source, type] of [
      ['_ 1', 'double'],
      ['_ true', 'boolean'],
      ['lost "x"', 'string'],
      ['_ lost', 'double'],
    ] as const) {
      expect(parseNotation(source)).toMatchObject({ notation: { type } });
    }
  });

  it('gives each slot its time', () => {
    const result = parseNotation('1 _ 2 @25s lost 3');
    if (!result.ok) throw new Error(result.problem);
    expect(timedSlots(result.notation, 10_000)).toEqual([
      { offsetMs: 0, slot: { kind: 'reading', value: 1 } },
      { offsetMs: 20_000, slot: { kind: 'reading', value: 2 } },
      { offsetMs: 25_000, slot: { kind: 'lost' } },
      { offsetMs: 35_000, slot: { kind: 'reading', value: 3 } },
    ]);
    expect(timedSlots(result.notation, 20_000)).toMatchObject({
      at: 6,
      problem: expect.stringMatching(/not later than .* 40000 ms/),
    });
  });

  it('answers whatever it is given, and reads what it would print', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (source) => {
        const result = parseNotation(source);
        if (!result.ok) expect(result.at).toBeLessThanOrEqual(source.length);
      }),
      { seed: 20260105, numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }), (numbers) => {
        expect(plain(numbers.map((one) => (Object.is(one, -0) ? '-0' : String(one))).join(' '))).toEqual(numbers);
      }),
      { seed: 20260105, numRuns: 200 },
    );
  });

  it('takes as many slots as it says', () => {
    expect(plain(`1x${SLOTS_MAX}`)).toHaveLength(SLOTS_MAX);
  });
});
