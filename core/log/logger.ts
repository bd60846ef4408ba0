import { type DestinationStream, destination, type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino';
import { isJournal, withPriorities } from './journal.js';

/** From the most to the least talkative. `error` means that data was lost. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

const STANDARD_ERROR = 2;

/**
 * JSON lines on standard error (standard output belongs to a command's result), or into `stream`. Where standard error is
 * the journal, each line has its priority before it.
 */
export function createLogger(name: string, level: LogLevel, stream?: DestinationStream): Logger {
  const options: LoggerOptions = {
    name,
    level,
    // Names instead of pino's numbers, and no pid or host: the journal adds both.
    base: {},
    formatters: { level: (label) => ({ level: label }) },
    timestamp: stdTimeFunctions.isoTime,
  };
  return pino({ ...options, name }, stream ?? standardError());
}

function standardError(): DestinationStream {
  // Synchronous, so that the last words before an exit are written.
  const stream = destination({ fd: STANDARD_ERROR, sync: true });
  return isJournal(STANDARD_ERROR, process.env) ? withPriorities(stream) : stream;
}
