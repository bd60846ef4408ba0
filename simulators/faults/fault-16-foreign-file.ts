import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import Database from 'better-sqlite3';
import { DamageTally, makeBuffer, openEngine, tryDamage } from './damaged-buffer.js';
import type { Fault } from './fault.js';

/** The row's bound for a buffer that takes readings again. */
const OPEN_MS_MAX = 5_000;

export const foreignFile: Fault = {
  number: 16,
  title: 'garbage instead of a database, or a newer version of it',
  times: 100,
  shortTimes: 8,
  run: async ({ times, folder, random, log, patience }) => {
    const tally = new DamageTally();
    const problems: string[] = [];
    for (let at = 0; at < times; at++) {
      const image = makeBuffer(
        join(folder, `${at}`),
        { appends: 50, bodyBytesMax: 800, isClosed: at % 2 === 0 },
        random,
      );
      const bytes = Math.floor(random() * 200_000);
      const kind = at % 4;
      const outcome = tryDamage(image, join(folder, 'trial'), random, (path) => {
        if (kind === 0)
          writeFileSync(
            path,
            Uint8Array.from({ length: bytes }, () => Math.floor(random() * 256)),
          );
        else if (kind === 1) writeFileSync(path, 'not a database, but a note that somebody left here\n');
        else if (kind === 2) writeFileSync(path, '');
        else foreignDatabase(path);
      });
      tally.add(`garbage of kind ${kind}`, outcome);
      if (outcome.opened !== 'recovered') problems.push(`garbage of kind ${kind} was opened as ${outcome.opened}`);
      if (at % 20 === 19) log(`${at + 1} files`);
    }
    problems.push(...refusesNewer(join(folder, 'newer'), random));
    if (tally.worstMs > OPEN_MS_MAX * patience) problems.push(`an opening took ${Math.round(tally.worstMs)} ms`);
    return { ...tally.counts, problems: [...problems, ...tally.problems], figures: tally.figures };
  },
};

function foreignDatabase(path: string): void {
  writeFileSync(path, '');
  const db = new Database(path);
  db.exec("CREATE TABLE mine (x); INSERT INTO mine VALUES ('dear')");
  db.close();
}

/** An older agent must not guess: it refuses, and leaves the file as it is. */
function refusesNewer(folder: string, random: () => number): string[] {
  const image = makeBuffer(folder, { appends: 5, bodyBytesMax: 100, isClosed: true }, random);
  const db = new Database(image.path);
  db.pragma('user_version = 1000');
  db.close();
  try {
    openEngine(image.path, random).close();
    return ['a file of a newer version was opened'];
  } catch (error) {
    const isClear =
      error instanceof TributaryError && error.code === 'unsupported' && /newer agent/.test(error.message);
    return isClear ? [] : [`a file of a newer version was refused with: ${error}`];
  }
}
