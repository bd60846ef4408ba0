import { accessSync, constants, statSync } from 'node:fs';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { AlertActionConfig } from './schema.js';

/** A program that cannot be run now. It may be there when it is needed, so an agent starts all the same. */
export interface ProgramProblem {
  /** Place in the configuration. */
  field: string;
  message: string;
}

/** Looks at the programs that actions run. */
export function programProblems(configs: readonly AlertActionConfig[]): ProgramProblem[] {
  const problems: ProgramProblem[] = [];
  for (const [at, { run }] of configs.entries()) {
    const program = run?.command[0];
    if (run === undefined || program === undefined) continue;
    const field = `alerts[${at}].run.command[0]`;
    const what = trouble(program, constants.X_OK);
    if (what !== undefined) problems.push({ field, message: `${what}; install it, or write the path of a program` });
    else if (!statSync(program).isFile()) {
      problems.push({ field, message: `${program}: it is no file; write the path of a program` });
    }
    const folder = trouble(run.workingDirectory, constants.X_OK);
    if (folder !== undefined) {
      const path = `alerts[${at}].run.workingDirectory`;
      problems.push({ field: path, message: `${folder}; make it, or write the path of a folder that is there` });
    }
  }
  return problems;
}

function trouble(path: string, mode: number): string | undefined {
  try {
    accessSync(path, mode);
    return undefined;
  } catch (thrown) {
    return TributaryError.from(thrown).message;
  }
}
