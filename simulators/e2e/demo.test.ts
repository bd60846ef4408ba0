import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const demo = fileURLToPath(new URL('../demo/demo.js', import.meta.url));
const runFolder = fileURLToPath(new URL('../../../.run/', import.meta.url));

function demoFolders(): string[] {
  return existsSync(runFolder) ? readdirSync(runFolder).filter((name) => name.startsWith('demo-')) : [];
}

/** Agents and collectors that were started with a configuration in one of these folders, as the kernel lists them. */
function processesOf(folders: readonly string[]): string[] {
  const lines = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => folders.some((folder) => line.includes(`/${folder}/`)));
}

describe('the demo', () => {
  it('ends with every reading accounted for, an outage and an alert, and leaves nothing behind', async () => {
    const before = new Set(demoFolders());
    const made = new Set<string>();
    const ended = new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const watch = setInterval(() => {
        for (const folder of demoFolders()) if (!before.has(folder)) made.add(folder);
      }, 100);
      execFile(process.execPath, [demo, '--seconds', '15', '--json'], (error, out, err) => {
        clearInterval(watch);
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });
    const { code, out, err } = await ended;
    const [line] = out.trimEnd().split('\n').slice(-1);
    const result = JSON.parse(line!);
    expect(result, err).toMatchObject({ missing: 0, duplicates: 0, outages: 1 });
    expect(result.produced).toBeGreaterThan(300);
    expect(result.stored + result.declared).toBe(result.produced);
    expect(result.alertsDelivered).toBeGreaterThanOrEqual(1);
    expect(result.alertsDelivered).toBe(result.alertsFired);
    expect(result.actedWhileCutOff).toBeGreaterThanOrEqual(1);
    expect(result.deviceIncidents).toBeGreaterThanOrEqual(result.actedWhileCutOff);
    expect(result.deviceIncidentsAdopted).toBe(result.deviceIncidents);
    expect(result.actedTwice).toBe(0);
    expect(code, err).toBe(0);
    expect(made.size).toBeGreaterThan(0);
    expect(demoFolders().filter((folder) => made.has(folder))).toEqual([]);
    expect(processesOf([...made])).toEqual([]);
  });

  it.each([
    [['--seconds', 'soon'], '--seconds is soon'],
    [['--loud'], '--loud'],
  ])('%j is refused with its usage', async (parameters, message) => {
    const { code, err } = await new Promise<{ code: number; err: string }>((resolve) => {
      execFile(process.execPath, [demo, ...parameters], (error, _, text) =>
        resolve({ code: error === null ? 0 : Number(error.code), err: text }),
      );
    });
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err).toContain('usage: npm start');
  });
});
