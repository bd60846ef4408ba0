// Writes the golden vectors to proto/vectors: `node proto/dist/batch/vectors.js`. A check runs it and finds no difference.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeBatch } from './encode.js';
import { vectorCases } from './vector-cases.js';
import { vectorFileOf } from './vector-file.js';

const folder = join(import.meta.dirname, '../../vectors');

/** Bytes that are no batch, and what a decoder says of them. */
const refused = [
  { name: 'empty', bytes: '', code: 'malformed' },
  { name: 'later encoding: field 5', bytes: '2a0107', code: 'unknown-encoding' },
  { name: 'body shorter than its length', bytes: '220901', code: 'malformed' },
  { name: 'body without bits', bytes: '2200', code: 'malformed' },
  { name: 'time unit 10', bytes: '100a220100', code: 'malformed' },
  { name: 'a byte behind the last group', bytes: '22020000', code: 'malformed' },
  { name: 'a group wire type', bytes: '0b220100', code: 'malformed' },
];

mkdirSync(folder, { recursive: true });
for (const name of readdirSync(folder)) rmSync(join(folder, name));
for (const one of vectorCases()) {
  const file = vectorFileOf(one, encodeBatch(one.batch));
  writeFileSync(join(folder, `${one.name}.json`), `${JSON.stringify(file, null, 2)}\n`);
}
writeFileSync(join(folder, 'refused.json'), `${JSON.stringify(refused, null, 2)}\n`);
