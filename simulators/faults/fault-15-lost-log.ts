import { copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Random } from '@tributary/core/clock/random';
import { type BufferImage, DamageTally, makeBuffer, tryDamage } from './damaged-buffer.js';
import type { Fault } from './fault.js';

const PLAN = { bodyBytesMax: 1_500, isClosed: false };

/** What can become of a log, and of what lies beside it. */
const WAYS: readonly { what: string; damage: (path: string, other: BufferImage, random: Random) => void }[] = [
  { what: 'log deleted', damage: (path) => rmSync(`${path}-wal`) },
  { what: 'log of another buffer', damage: (path, other) => copyFileSync(`${other.path}-wal`, `${path}-wal`) },
  {
    what: 'log of another buffer, mark gone',
    damage: (path, other) => {
      copyFileSync(`${other.path}-wal`, `${path}-wal`);
      rmSync(`${path}-mark`);
    },
  },
  {
    what: 'log deleted, mark gone',
    damage: (path) => {
      rmSync(`${path}-wal`);
      rmSync(`${path}-mark`);
    },
  },
  { what: 'mark of another buffer', damage: (path, other) => copyFileSync(`${other.path}-mark`, `${path}-mark`) },
  { what: 'database deleted', damage: (path) => rmSync(path) },
  { what: 'log of zeros', damage: (path) => writeFileSync(`${path}-wal`, new Uint8Array(171_552)) },
  {
    what: 'mark torn',
    damage: (path, _, random) => writeFileSync(`${path}-mark`, 'x'.repeat(Math.floor(random() * 200))),
  },
];

export const lostLog: Fault = {
  number: 15,
  title: 'log deleted or of another file',
  times: 80,
  shortTimes: 8,
  run: async ({ times, folder, random, log }) => {
    const tally = new DamageTally();
    for (let at = 0; at < times; at++) {
      // Each at another length of the log.
      const appends = 100 + Math.floor(random() * 200);
      const image = makeBuffer(join(folder, `${at}`), { ...PLAN, appends }, random);
      const other = makeBuffer(join(folder, `${at}-other`), { ...PLAN, appends: 120 }, random);
      const { what, damage } = WAYS[at % WAYS.length]!;
      const outcome = tryDamage(image, join(folder, 'trial'), random, (path) => damage(path, other, random));
      const isGap = what !== 'mark of another buffer' && what !== 'mark torn';
      if (isGap && !outcome.isSuspect) outcome.problems.push('the gap is not reported');
      tally.add(what, outcome);
      if (at % 10 === 9) log(`${at + 1} logs`);
    }
    return { ...tally.counts, problems: tally.problems, figures: tally.figures };
  },
};
