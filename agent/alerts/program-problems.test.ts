import { describe, expect, it } from 'vitest';
import { programProblems } from './program-problems.js';
import type { AlertActionConfig } from './schema.js';

const runs = (program: string, workingDirectory = '/'): AlertActionConfig => ({
  name: 'a',
  match: { labels: {} },
  run: { command: [program], timeout: 1000, workingDirectory, maxConcurrent: 1 },
});

describe('the look at the programs of actions', () => {
  it('finds nothing wrong with one that can be run', () => {
    expect(programProblems([runs('/bin/sh'), { name: 'b', match: { labels: {} }, log: { level: 'info' } }])).toEqual(
      [],
    );
  });

  it('names what cannot', () => {
    expect(programProblems([runs('/bin/sh'), runs('/none'), runs('/tmp'), runs('/bin/sh', '/nowhere')])).toEqual([
      {
        field: 'alerts[1].run.command[0]',
        message: '/none: no such file or directory; install it, or write the path of a program',
      },
      { field: 'alerts[2].run.command[0]', message: '/tmp: it is no file; write the path of a program' },
      {
        field: 'alerts[3].run.workingDirectory',
        message: '/nowhere: no such file or directory; make it, or write the path of a folder that is there',
      },
    ]);
  });
});
