import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { ReadStream } from 'node:tty';

/** What the library keeps of a terminal that was opened without a process in it. */
interface OpenTerminal {
  _master: ReadStream;
  _slave: ReadStream;
  /** Of the master, in non-blocking mode. */
  _fd: number;
  ptsName: string;
}

/** The library's types leave out `open`, which makes a terminal without a process in it. */
const { open } = createRequire(import.meta.url)('@lydell/node-pty') as {
  open(options: { encoding: null }): OpenTerminal;
};

/**
 * A real pseudo-terminal: what is written here is read by whoever opens `path` as a serial port. Closing it is what pulling
 * a USB adapter is: the other side sees a hang-up. (Unless a process was started in between: it inherits the terminal, which
 * the library opens without close-on-exec, and keeps it up. Who tests an unplug starts the agent first.)
 */
export class PseudoTerminal {
  readonly path: string;
  private readonly master: ReadStream;
  private readonly masterFd: number;
  private readonly held: number;
  /** What is left of a piece that had room only in part. */
  private rest: Buffer = Buffer.alloc(0);
  private open = true;

  constructor() {
    const terminal = open({ encoding: null });
    this.path = terminal.ptsName;
    this.master = terminal._master;
    this.masterFd = terminal._fd;
    // The library reads the other end itself, and would take what is meant for the serial port. The end stays open by a
    // descriptor that nobody reads: without any, a write before the port is opened would be a hang-up.
    terminal._slave.destroy();
    this.held = openSync(this.path, constants.O_RDWR | constants.O_NOCTTY);
    // Until the port sets its own mode the terminal would echo our lines back to us and turn \n into \r\n.
    const flag = process.platform === 'darwin' ? '-f' : '-F';
    const stty = spawnSync('stty', [flag, this.path, 'raw', '-echo'], { encoding: 'utf8' });
    if (stty.status !== 0) throw new Error(`stty failed on ${this.path}: ${stty.stderr ?? stty.error?.message}`);
    this.master.on('error', () => this.close());
  }

  /** Called with what the other side writes. */
  onData(listener: (bytes: Buffer) => void): void {
    this.master.on('data', listener);
  }

  /**
   * Writes everything, however long that takes: what the terminal has no room for (4 to 64 kB on Linux) waits in memory, and
   * the process spins until somebody reads.
   */
  write(bytes: Buffer | string): void {
    if (!this.open) return;
    const stream = this.master as unknown as NodeJS.WritableStream;
    if (this.rest.length > 0) stream.write(this.rest);
    this.rest = Buffer.alloc(0);
    stream.write(bytes);
  }

  /** Writes a piece if there is room, because somebody reads. Answers whether; of one that has no room nothing is written. */
  offer(bytes: Buffer): boolean {
    if (!this.open) return false;
    if ((this.master as unknown as NodeJS.WritableStream & { writableLength: number }).writableLength > 0) {
      this.write(bytes);
      return true;
    }
    this.rest = this.rest.subarray(this.taken(this.rest));
    if (this.rest.length > 0) return false;
    const taken = this.taken(bytes);
    if (taken > 0) this.rest = bytes.subarray(taken);
    return taken > 0;
  }

  /** How many bytes the terminal has taken. */
  private taken(bytes: Buffer): number {
    if (bytes.length === 0) return 0;
    try {
      return writeSync(this.masterFd, bytes);
    } catch (error) {
      // Else it has hung up, which the stream sees as well.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.close();
      return 0;
    }
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.held);
    this.master.destroy();
  }
}
