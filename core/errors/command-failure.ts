import { TributaryError } from './tributary-error.js';

/** Exit status of a command that failed: 2 when the caller wrote something wrong, 1 for everything else. */
export function exitCodeOf(error: TributaryError): 1 | 2 {
  return error.code === 'usage' || error.code === 'config' ? 2 : 1;
}

/**
 * What a command prints when it failed: `error: message`, and the stack with its causes only when `TRIBUTARY_DEBUG` is
 * set, because a stack tells a user nothing.
 */
export function failureText(error: TributaryError, env: NodeJS.ProcessEnv): string {
  if (!env.TRIBUTARY_DEBUG) return `error: ${error.message}\n`;
  let text = `error: ${error.message}\n${error.stack ?? ''}\n`;
  let cause = error.cause;
  // A chain of causes longer than this is a loop.
  for (let depth = 0; depth < 8 && cause instanceof Error; depth += 1) {
    text += `caused by: ${cause.stack ?? cause.message}\n`;
    cause = cause.cause;
  }
  return text;
}

/** Runs a command's body. A failure is printed on standard error and becomes the exit status; nothing is thrown. */
export async function runCommand(body: () => Promise<void> | void): Promise<void> {
  try {
    await body();
  } catch (thrown) {
    const error = TributaryError.from(thrown);
    process.stderr.write(failureText(error, process.env));
    process.exitCode = exitCodeOf(error);
  }
}
