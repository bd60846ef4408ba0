import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('./board-cli.js', import.meta.url));

function run(...parameters: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...parameters], (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

describe('the board of the command line', () => {
  it.each([
    [2, ['--loud'], '--loud'],
    [2, ['--format', 'xml'], 'json, csv, key-value'],
    [2, ['--sensors', 'temperature,smell'], 'there is no smell; name temperature, humidity'],
    [2, ['--interval', '0'], 'at least 1'],
    [1, ['--link', '/nowhere/board'], '--link /nowhere/board: ENOENT'],
  ])('ends with %i for %j, and says what would be right', async (expected, parameters, message) => {
    const { code, err } = await run(...parameters);
    expect(err).toContain(message);
    expect(err).not.toContain('    at ');
    expect(code).toBe(expected);
  });

  it('explains its options', async () => {
    const { code, out } = await run('--help');
    expect(out).toContain('--link <path>');
    expect(code).toBe(0);
  });
});
