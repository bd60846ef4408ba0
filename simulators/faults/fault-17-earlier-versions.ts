import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FixtureContent } from '@tributary/agent/buffer/fixtures/make-fixture';
import { openEngine } from './damaged-buffer.js';
import { type Fault, NOTHING } from './fault.js';

const fixtures = fileURLToPath(new URL('../../../agent/buffer/fixtures/', import.meta.url));

export const earlierVersions: Fault = {
  number: 17,
  title: 'buffers of every version',
  times: 1,
  shortTimes: 1,
  run: async ({ times, folder, random }) => {
    const counts = { ...NOTHING };
    const problems: string[] = [];
    const versions = readdirSync(fixtures).filter((name) => name.startsWith('version-'));
    for (let at = 0; at < times; at++) {
      for (const version of versions) {
        for (const name of ['closed.db', 'used.db']) {
          const path = join(folder, `${at}`, version, name);
          mkdirSync(join(folder, `${at}`, version), { recursive: true });
          for (const part of ['', '-wal', '-mark']) {
            const file = join(fixtures, version, `${name}${part}`);
            if (existsSync(file)) copyFileSync(file, `${path}${part}`);
          }
          const content = JSON.parse(readFileSync(join(fixtures, version, 'content.json'), 'utf8')) as FixtureContent;
          const engine = openEngine(path, random);
          const found = new Map(engine.run((core) => core.read(1, 1 << 24, 4096)).map((item) => [item.sequence, item]));
          if (engine.identity.highestSequence !== content.highestSequence)
            problems.push(`${version}: ${name} is changed`);
          engine.close();
          for (const [sequence, readings, checksum] of content.items) {
            counts.produced += readings;
            const item = found.get(sequence);
            if (item === undefined) counts.missing += readings;
            else if (item.checksum !== checksum) counts.altered += readings;
            else counts.stored += readings;
          }
        }
      }
    }
    return { ...counts, problems, figures: `${versions.length} versions` };
  },
};
