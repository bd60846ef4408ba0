import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { trial } from './wire.js';

/** Values that a careless path would change: tiny and huge ones, minus zero, many decimals, missing cells. */
const TABLE = [
  'time_us,a,b,c',
  ...Array.from({ length: 40 }, (_, row) => {
    const time = 1_600_000_000_000_000 + row * 1_000_000 + (row % 3);
    const b = row % 7 === 0 ? '' : 20 + row / 10;
    const c = ['-0', '5e-324', '1.7976931348623157e308', '0.1', '68.49283147'][row % 5];
    return `${time},${Math.sin(row)},${b},${c}`;
  }),
  '',
].join('\n');

const KEYS = ['file', 'readings', 'rows', 'bytesPerReading', 'batchBytesPerReading', 'lossless'];

describe('the wire trial', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-wire-'));
  const csv = join(folder, 'table.csv');
  writeFileSync(csv, TABLE);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('sends a backlog and finds the table again bit for bit', async () => {
    const figures = await trial.run({ csv, rows: '10' });
    expect(Object.keys(figures)).toEqual(KEYS);
    expect(figures).toMatchObject({ file: 'table.csv', readings: 114, rows: 10, lossless: true });
    expect(figures.bytesPerReading).toBeGreaterThan(figures.batchBytesPerReading as number);
  });

  it('sends each batch in a stream of its own when it is paced', async () => {
    const figures = await trial.run({ csv, rows: '10', paced: true });
    expect(Object.keys(figures)).toEqual(KEYS);
    expect(figures).toMatchObject({ readings: 114, lossless: true });
  });

  it('says what is missing', async () => {
    await expect(trial.run({})).rejects.toThrow('--csv must name a table');
  });
});
