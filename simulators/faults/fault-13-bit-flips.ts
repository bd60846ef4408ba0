import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DamageTally, makeBuffer, tryDamage } from './damaged-buffer.js';
import type { Fault } from './fault.js';

/** A buffer of this many transactions has rows of all lengths, and a log that was begun anew more than once. */
const PLAN = { appends: 250, bodyBytesMax: 1_500 };

export const bitFlips: Fault = {
  number: 13,
  title: 'bit flips in database and log',
  times: 2_000,
  shortTimes: 40,
  run: async ({ times, folder, random, log }) => {
    const tally = new DamageTally();
    const closed = makeBuffer(join(folder, 'closed'), { ...PLAN, isClosed: true }, random);
    const used = makeBuffer(join(folder, 'used'), { ...PLAN, isClosed: false }, random);
    for (let at = 0; at < times; at++) {
      // By turns: the log of a buffer that was in use, and the database of one in use or closed.
      const part = at % 2 === 0 ? '-wal' : '';
      const image = at % 4 === 1 ? closed : used;
      const where = random();
      const outcome = tryDamage(image, join(folder, 'trial'), random, (path) => {
        const bytes = readFileSync(`${path}${part}`);
        const bit = Math.floor(where * bytes.length * 8);
        bytes[bit >>> 3]! ^= 1 << (bit & 7);
        writeFileSync(`${path}${part}`, bytes);
      });
      tally.add(`flip ${at} at ${where} of ${part === '' ? 'database' : 'log'}`, outcome);
      if (at % 100 === 99) log(`${at + 1} flips`);
    }
    return { ...tally.counts, problems: tally.problems, figures: tally.figures };
  },
};
