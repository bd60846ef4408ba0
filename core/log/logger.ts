import { type DestinationStream, destination, type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino';

/** From the most to the least talkative. `error` means that data was lost. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** JSON lines on standard error (standard output belongs to a command's result), or into `stream`. */
export function createLogger(name: string, level: LogLevel, stream?: DestinationStream): Logger {
  const options: LoggerOptions = {
    name,
    level,
    // Names instead of pino's numbers, and no pid or host: the journal adds both.
    base: {},
    formatters: { level: (label) => ({ level: label }) },
    timestamp: stdTimeFunctions.isoTime,
  };
  // Synchronous, so that the last words before an exit are written.
  return pino({ ...options, name }, stream ?? destination({ fd: 2, sync: true }));
}
