import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ReadStream } from 'node:tty';
import * as nodePty from '@lydell/node-pty';
import { systemScheduler } from '@tributary/core/clock/clock';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordingHost } from '../recording-sink.js';
import { SerialSource } from './serial-source.js';
import { serialportBinding } from './serialport-binding.js';

/** Both ends of a pseudo-terminal, as node-pty's `open` gives them; its types leave it out. */
interface Pty {
  _master: ReadStream & { write(text: string): boolean };
  _slave: ReadStream;
  _pty: string;
}
const { open } = nodePty as unknown as { open(options: object): Pty };

/** A board on a real pty, plugged in under a path of its own as udev would. */
class Board {
  readonly #path: string;
  #pty: Pty | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  plugIn(): void {
    const pty = open({ encoding: null });
    pty._master.on('error', () => {});
    // The agent's is the only other end.
    pty._slave.pause();
    this.#pty = pty;
    symlinkSync(pty._pty, this.#path);
  }

  /** The agent has opened its end. */
  opened(): void {
    this.#pty?._slave.destroy();
  }

  /** What the agent has written, from here on. */
  listen(): { text: string } {
    const heard = { text: '' };
    this.#pty?._master.on('data', (bytes: Buffer) => {
      heard.text += bytes.toString();
    });
    this.#pty?._master.resume();
    return heard;
  }

  /** The board reads nothing until it is listened to. */
  freeze(): void {
    this.#pty?._master.pause();
  }

  say(text: string): void {
    this.#pty?._master.write(text);
  }

  async unplug(): Promise<void> {
    const master = this.#pty?._master;
    this.#pty?._slave.destroy();
    this.#pty = undefined;
    rmSync(this.#path, { force: true });
    if (master === undefined) return;
    const closed = once(master, 'close');
    master.destroy();
    await closed;
  }
}

describe('a serial source on a real pty', () => {
  let folder: string;
  let board: Board;
  let host: RecordingHost;
  let source: SerialSource;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tributary-serial-'));
    const path = join(folder, 'board');
    board = new Board(path);
    host = new RecordingHost();
    source = new SerialSource(
      {
        name: 'board',
        labels: {},
        path,
        baudRate: 115_200,
        dataBits: 8,
        parity: 'none',
        stopBits: 1,
        format: { type: 'json' },
        seriesMax: 256,
        lineBytesMax: 4096,
        discardFirstFragment: false,
      },
      host,
      { binding: serialportBinding, scheduler: systemScheduler, random: () => 0.5 },
    );
  });

  afterEach(async () => {
    await source.stop();
    await board.unplug();
    rmSync(folder, { recursive: true, force: true });
  });

  const state = (wanted: string) =>
    new Promise<void>((resolve) => {
      host.onState = (now) => {
        if (now.state === wanted) resolve();
      };
    });

  const pause = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

  const rows = async (count: number) => {
    while (host.rows.length < count) await new Promise<void>((resolve) => setTimeout(resolve, 5));
  };

  it('reads lines, survives an unplug, and reads on within five seconds of the return', async () => {
    board.plugIn();
    const running = state('running');
    source.start();
    await running;
    board.opened();
    board.say('{"t": 21.5}\r\n{"t": 2');
    await rows(1);
    board.say('2}\n');
    await rows(2);

    const waiting = state('waiting');
    await board.unplug();
    await waiting;

    board.plugIn();
    const returnedMs = performance.now();
    await state('running');
    expect(performance.now() - returnedMs).toBeLessThan(5000);
    board.opened();
    board.say('{"t": 23}\n');
    await rows(3);
    expect(host.rows.map(({ values }) => values)).toEqual([{ t: 21.5 }, { t: 22 }, { t: 23 }]);
    expect(host.drops).toEqual([]);
  });

  it('writes while the port is open, and nothing of it after the return', async () => {
    board.plugIn();
    const running = state('running');
    source.start();
    await running;
    board.opened();
    const before = board.listen();
    await source.write(Buffer.from('fan on\n'), 2000);
    while (before.text !== 'fan on\n') await pause();

    const waiting = state('waiting');
    await board.unplug();
    await waiting;
    await expect(source.write(Buffer.from('fan off\n'), 2000)).rejects.toMatchObject({ code: 'not-found' });
    const again = state('running');
    board.plugIn();
    await again;
    board.opened();
    const after = board.listen();
    await source.write(Buffer.from('hello\n'), 2000);
    while (!after.text.endsWith('hello\n')) await pause();
    expect(after.text).toBe('hello\n');
  });

  it('gives a write up that the device does not take, and keeps nothing of it for later', async () => {
    board.plugIn();
    const running = state('running');
    source.start();
    await running;
    board.opened();
    board.freeze();
    // Far more than a terminal holds for a side that does not read.
    const waiting = state('waiting');
    await expect(source.write(Buffer.alloc(200_000, 'x'), 300)).rejects.toMatchObject({ code: 'deadline' });
    await waiting;
    await state('running');
    const after = board.listen();
    await source.write(Buffer.from('\nhello\n'), 2000);
    while (!after.text.endsWith('hello\n')) await pause();
    // What the terminal had taken before is there; the rest is not.
    expect(after.text.length).toBeLessThan(100_000);
  });

  it('waits for a device that is not there yet, and says why', async () => {
    const waiting = state('waiting');
    source.start();
    await waiting;
    expect(host.states.at(-1)).toMatchObject({ state: 'waiting', why: expect.stringContaining('No such file') });
    board.plugIn();
    await state('running');
    board.opened();
    board.say('{"t": 1}\n');
    await rows(1);
  });

  it('notices the unplug of a device that talks without pause', async () => {
    for (let round = 0; round < 3; round += 1) {
      board.plugIn();
      const running = state('running');
      if (round === 0) source.start();
      await running;
      board.opened();
      for (let line = 0; line < 50; line += 1) board.say(`{"t": ${line}}\n`);
      const waiting = state('waiting');
      await board.unplug();
      await waiting;
    }
  });
});
