import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arbitraryBatch } from './arbitrary-batch.js';
import { DecodeArena } from './arena.js';
import type { Batch } from './batch.js';
import { BatchError } from './batch-error.js';
import { decodeBatch } from './decode.js';
import { encodeBatch } from './encode.js';
import { decodeByTheBook, type ReferenceBatch } from './reference-decoder.js';
import { differenceOf } from './same-batch.js';
import { batchOfVector, readingsOf, type VectorFile } from './vector-file.js';

const folder = join(import.meta.dirname, '../../vectors');
const names = readdirSync(folder).filter((name) => name !== 'refused.json');

function read<T>(name: string): T {
  return JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

/** The readings as the vectors list them, from what the reference decoder found. */
function referenceReadings({ baseTime, groups }: ReferenceBatch): VectorFile['readings'] {
  return groups.flatMap(({ times, columns }) =>
    columns.flatMap(({ seriesId, type, rows, values, strings }) =>
      rows.map((row, i): VectorFile['readings'][number] => {
        const value = values[i]!;
        const shown =
          type === 'double'
            ? value.toString(16).padStart(16, '0')
            : type === 'boolean'
              ? value === 1n
              : strings[Number(value)]!;
        return [seriesId, (baseTime + times[row]!).toString(), shown];
      }),
    ),
  );
}

/** Every mode that FORMAT.md names. */
const modes = [
  ...[0, 1, 2, 3, 4, 5, 6].map((form) => `form ${form}`),
  ...['form 0 runs', 'form 3 runs', 'form 4 runs'],
  ...[0, 1, 2, 3, 4, 5].map((predictor) => `predictor ${predictor}`),
  ...['scale rice', 'scale wide', 'scale 63', 'escape', 'exception raw', 'exception corrected'],
  ...[0, 1, 2].map((refinement) => `fraction refinement ${refinement}`),
  ...['times 0', 'times 1', 'times 2', 'presence bitmap', 'presence as before', 'double', 'boolean', 'string'],
  ...['states of one bit', 'states of one bit runs', 'states of more bits', 'states of more bits runs'],
];

describe('the golden vectors', () => {
  const arena = new DecodeArena();

  it.each(names)('%s: table, bytes and readings agree both ways', (name) => {
    const vector = read<VectorFile>(name);
    const table = batchOfVector(vector);
    const bytes = fromHex(vector.bytes);
    arena.reset();
    const decoded = decodeBatch(bytes, arena);
    expect(differenceOf(table, decoded)).toBeNull();
    expect(readingsOf(decoded)).toEqual(vector.readings);
    expect(Buffer.from(encodeBatch(table)).toString('hex')).toBe(vector.bytes);
    expect(referenceReadings(decodeByTheBook(bytes, new Set()))).toEqual(vector.readings);
  });

  it('cover every mode of the format', () => {
    const seen = new Set<string>();
    for (const name of names) decodeByTheBook(fromHex(read<VectorFile>(name).bytes), seen);
    expect(modes.filter((mode) => !seen.has(mode))).toEqual([]);
  });

  it.each(read<{ name: string; bytes: string; code: string }[]>('refused.json'))('refuse: $name', ({ bytes, code }) => {
    const refused = (() => {
      try {
        decodeBatch(fromHex(bytes), arena);
        return 'taken';
      } catch (error) {
        return error instanceof BatchError ? error.code : error;
      }
    })();
    expect(refused).toBe(code);
  });
});

describe('the reference decoder', () => {
  it('reads what the encoder writes as the codec does', () => {
    const check = (batch: Batch) => {
      const readings = referenceReadings(decodeByTheBook(encodeBatch(batch), new Set()));
      expect(readings).toEqual(readingsOf(batch));
    };
    fc.assert(fc.property(arbitraryBatch, check), { seed: 99, numRuns: 150 });
  });
});
