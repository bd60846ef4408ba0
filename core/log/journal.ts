import { fstatSync } from 'node:fs';
import type { DestinationStream } from 'pino';

/** pino tells a stream that has this the level of the line that it is about to write. */
const wantsLevel = Symbol.for('pino.metadata');

/**
 * Whether what is written to `fd` goes straight to the journal: systemd says so in `JOURNAL_STREAM` (systemd.exec(5)), as
 * `device:inode` of the stream that it has connected. After a redirection the two differ, and a file gets plain lines.
 */
export function isJournal(fd: number, env: NodeJS.ProcessEnv): boolean {
  const told = env.JOURNAL_STREAM;
  if (told === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return told === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Puts the priority before each line, as `<4>`; the journal takes it off again (sd-daemon(3)) and filters by it. */
export function withPriorities(stream: DestinationStream): DestinationStream {
  const prioritized = {
    [wantsLevel]: true,
    lastLevel: 30,
    write(line: string): void {
      stream.write(`<${priorityOf(prioritized.lastLevel)}>${line}`);
    },
  };
  return prioritized;
}

/** pino's numbers to those of syslog(3). */
function priorityOf(level: number): number {
  if (level >= 60) return 2;
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  return level >= 30 ? 6 : 7;
}
