import { readFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { errnoMeaning } from './errno.js';

function thrownBy(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return error;
  }
}

describe('a system error', () => {
  it('is told in words with the path it is about', () => {
    const error = thrownBy(() => readFileSync('/nonexistent/file'));
    expect(errnoMeaning(error)).toEqual({
      code: 'not-found',
      words: '/nonexistent/file: no such file or directory',
    });
    expect(errnoMeaning(thrownBy(() => readFileSync('/')))?.code).toBe('not-found');
  });

  it('is told in words with the address it is about', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    });
    await new Promise((resolve) => server.close(resolve));
    const error = await new Promise((resolve) => createConnection(port, '127.0.0.1').once('error', resolve));
    expect(errnoMeaning(error)).toEqual({
      code: 'network',
      words: `127.0.0.1:${port}: the connection was refused, nobody listens there`,
    });
  });

  it('is none when it has no known name', () => {
    expect(errnoMeaning(new Error('x'))).toBeUndefined();
    expect(errnoMeaning(Object.assign(new Error('x'), { code: 'constructor' }))).toBeUndefined();
    expect(errnoMeaning({ code: 'ENOENT' })).toBeUndefined();
  });
});
