import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { openEngine } from './damaged-buffer.js';
import { type Fault, NOTHING } from './fault.js';

/** The row's bound, from the process's start to its end. */
const LEAVE_MS_MAX = 2_000;

/** Opens the buffer as an agent does, in a process of its own, and says what it was told. */
const SECOND = `
  const [module, path] = process.argv.slice(1);
  const { SqliteBuffer } = await import(module);
  try {
    await SqliteBuffer.open({ path, quotaBytes: 1 << 20, thinningWindowMs: 0 });
    console.log('opened');
  } catch (error) {
    console.log(error.code + ' ' + error.message);
  }
  process.exit();
`;

export const secondAgent: Fault = {
  number: 18,
  title: 'a second agent on the buffer',
  times: 20,
  shortTimes: 2,
  run: async ({ times, folder, random, patience }) => {
    const counts = { ...NOTHING };
    const problems: string[] = [];
    const path = join(folder, 'buffer.db');
    const first = openEngine(path, random);
    let worstMs = 0;
    try {
      for (let at = 0; at < times; at++) {
        first.append([{ readings: 10, body: new Uint8Array(100).fill(at) }]);
        const started = performance.now();
        const told = await openInProcess(path);
        worstMs = Math.max(worstMs, performance.now() - started);
        if (!told.includes('busy') || !told.includes('another agent has this buffer open'))
          problems.push(`told: ${told}`);
        first.append([{ readings: 10, body: new Uint8Array(100).fill(at) }]);
        counts.produced += 20;
      }
      for (const item of first.run((core) => core.read(1, 1 << 24, 4096))) counts.stored += item.readings;
    } finally {
      first.close();
    }
    counts.missing = counts.produced - counts.stored;
    if (worstMs > LEAVE_MS_MAX * patience) problems.push(`left after ${Math.round(worstMs)} ms`);
    return { ...counts, problems, figures: `left after ${Math.round(worstMs)} ms at the most` };
  },
};

async function openInProcess(path: string): Promise<string> {
  const module = import.meta.resolve('@tributary/agent/buffer/sqlite-buffer');
  const child = spawn(process.execPath, ['--input-type=module', '-e', SECOND, module, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text;
  });
  await once(child, 'close');
  return told.trim();
}
