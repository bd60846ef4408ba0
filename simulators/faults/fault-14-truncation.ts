import { statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { DamageTally, makeBuffer, tryDamage } from './damaged-buffer.js';
import type { Fault } from './fault.js';

const PLAN = { appends: 250, bodyBytesMax: 1_500 };
/** File systems lose whole blocks. */
const BLOCK_BYTES = 4_096;

/** Every block of the database and of the log, as long as there are repetitions; some of them, evenly spread, if there are fewer. */
export const truncation: Fault = {
  number: 14,
  title: 'database and log cut off at every 4 kB',
  times: 200,
  shortTimes: 16,
  run: async ({ times, folder, random, log }) => {
    const tally = new DamageTally();
    const closed = makeBuffer(join(folder, 'closed'), { ...PLAN, isClosed: true }, random);
    const used = makeBuffer(join(folder, 'used'), { ...PLAN, isClosed: false }, random);
    const cuts = [
      [closed, ''],
      [used, ''],
      [used, '-wal'],
    ] as const;
    const all = cuts.flatMap(([image, part]) => {
      const blocks = Math.ceil(statSync(`${image.path}${part}`).size / BLOCK_BYTES);
      return Array.from({ length: blocks }, (_, block) => ({ image, part, bytes: block * BLOCK_BYTES }));
    });
    const count = Math.min(times, all.length);
    for (let at = 0; at < count; at++) {
      const { image, part, bytes } = all[Math.floor((at * all.length) / count)]!;
      const cut = (path: string) => truncateSync(`${path}${part}`, bytes);
      tally.add(
        `${part === '' ? 'database' : 'log'} cut to ${bytes}`,
        tryDamage(image, join(folder, 'trial'), random, cut),
      );
      if (at % 50 === 49) log(`${at + 1} of ${count} cuts`);
    }
    return { ...tally.counts, problems: tally.problems, figures: `${count} of ${all.length} cuts; ${tally.figures}` };
  },
};
