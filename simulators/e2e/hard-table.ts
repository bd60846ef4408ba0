import { writeFileSync } from 'node:fs';

/** 2026-01-01T00:00:00Z */
const START_US = 1_767_225_600_000_000;

/** Numbers as text that a careless way would change: signs of zero, subnormals, ends of the range, long decimals. */
const HARD = [
  '-0',
  '0',
  '1e-320',
  '-4.9406564584124654e-324',
  '1.7976931348623157e308',
  '-1.7976931348623157e308',
  '2.2250738585072014e-308',
  '9007199254740993',
  '-9007199254740991',
  '0.1',
  '0.30000000000000004',
  '1e21',
  '123456789.1234567',
];

/** A generator of 32 bits (mulberry32): tables of one size are always the same. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/**
 * Writes a replay table that is hard to keep: irregular times, cells that are empty, 13 decimals, any double, and the list
 * above. No column repeats itself, so about 5 bytes a reading remain of it.
 */
export function writeHardTable(file: string, rows: number): void {
  const next = generator(1);
  const lines = ['time_us,hard,decimals,doubles,walk,rare'];
  const bits = new DataView(new ArrayBuffer(8));
  let timeUs = START_US;
  let level = 20;
  for (let row = 0; row < rows; row++) {
    timeUs += 1 + (next() % 200_000);
    const hard = HARD[next() % HARD.length];
    const decimals = ((next() - 2 ** 31) / 7e7).toFixed(13);
    // Any finite double: an exponent of all ones would be a NaN or an infinity, which a table cannot hold.
    bits.setUint32(0, next() & 0xffdfffff);
    bits.setUint32(4, next());
    const any = bits.getFloat64(0);
    level += ((next() % 21) - 10) / 100;
    const rare = next() % 50 === 0 ? String(next() % 1000) : '';
    const walk = next() % 10 === 0 ? '' : level.toFixed(2);
    lines.push(`${timeUs},${hard},${decimals},${Object.is(any, -0) ? '-0' : any},${walk},${rare}`);
  }
  writeFileSync(file, `${lines.join('\n')}\n`);
}
