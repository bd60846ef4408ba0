import type { Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { StoredStatus } from '../buffer/alert-table.js';
import type { Task } from './action-core.js';
import { actionTemplate } from './action-template.js';
import { commandEnvironment } from './command-environment.js';
import { runCommand } from './run-command.js';
import type { AlertActionConfig } from './schema.js';
import type { StatusBoard } from './status-board.js';

/** Boards read lines into buffers of this size and less. */
const lineBytesMax = 1_024;

/** A board takes any of these for the end of a line, or for worse: a label must not be able to end one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** How an action ended. */
export interface ActionEnd {
  /** Empty when it was done; else a word that says why not. */
  reason: string;
  /** For the log. */
  fields: Record<string, unknown>;
  /** To be stored with the outcome. */
  status?: StoredStatus;
}

/** An action that is under way. */
export interface Performance {
  /** Never rejects. */
  readonly ended: Promise<ActionEnd>;
  stop(): void;
}

export interface PerformDeps {
  scheduler: Scheduler;
  board: StatusBoard;
  /** The agent's own environment. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Writes to the device behind a serial source, as `Source.write`. */
  write(source: string, bytes: Uint8Array, timeoutMs: number): Promise<void>;
}

type Perform = (task: Task) => Performance;

/** What an action of a configuration does. */
export function performer({ run, write, status }: AlertActionConfig, deps: PerformDeps): Perform {
  if (run !== undefined) return commandRunner(run, deps);
  if (write !== undefined) return lineWriter(write, deps);
  if (status === undefined) throw new Error('an action that does nothing has no performer');
  return ({ alert }) => {
    const stored = deps.board.apply(status, alert);
    const end = { reason: stored === undefined ? 'too-many-incidents' : '', fields: { status: status.name } };
    return { ended: Promise.resolve(stored === undefined ? end : { ...end, status: stored }), stop: () => {} };
  };
}

function commandRunner(
  { command, timeout: timeoutMs, workingDirectory }: NonNullable<AlertActionConfig['run']>,
  { scheduler, environment: own }: PerformDeps,
): Perform {
  const [program = '', ...rest] = command;
  const args = rest.map(actionTemplate);
  return ({ alert, isRepeated }) => {
    const rendered: [string, ...string[]] = [program, ...args.map((template) => template(alert))];
    const environment = commandEnvironment(alert, isRepeated, own);
    const running = runCommand({ command: rendered, timeoutMs, workingDirectory, environment }, scheduler);
    const ended = running.ended.then(({ reason, ...fields }) => ({ reason, fields: { program, ...fields } }));
    return { ended, stop: running.stop };
  };
}

function lineWriter(
  { source, line, endOfLine, timeout }: NonNullable<AlertActionConfig['write']>,
  deps: PerformDeps,
): Perform {
  const template = actionTemplate(line);
  return ({ alert }) => {
    const text = template(alert);
    const bytes = Buffer.from(`${text}${endOfLine}`);
    const attempt = async (): Promise<ActionEnd> => {
      if (controlCharacter.test(text)) return { reason: 'control-character', fields: { source } };
      if (bytes.length > lineBytesMax) return { reason: 'too-long', fields: { source, bytes: bytes.length } };
      try {
        await deps.write(source, bytes, timeout);
        return { reason: '', fields: { source, line: text } };
      } catch (thrown) {
        const { code, message } = TributaryError.from(thrown);
        return { reason: code === 'deadline' ? 'timeout' : 'port', fields: { source, details: message } };
      }
    };
    return { ended: attempt(), stop: () => {} };
  };
}
