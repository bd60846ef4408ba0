import fc from 'fast-check';
import { expect, it } from 'vitest';
import { packDoubles, unpackDoubles } from './packed-doubles.js';

it('keeps doubles to the bit, minus zero and infinities too', () => {
  fc.assert(
    fc.property(fc.array(fc.double()), (values) => {
      const back = unpackDoubles(JSON.parse(JSON.stringify(packDoubles(values))));
      expect([...back]).toEqual(values);
      for (const [index, value] of values.entries()) expect(Object.is(back[index], value)).toBe(true);
    }),
    { seed: 1 },
  );
});

it('takes what is no such text as nothing', () => {
  for (const text of [undefined, 5, '', 'AAA']) expect(unpackDoubles(text)).toHaveLength(0);
});
