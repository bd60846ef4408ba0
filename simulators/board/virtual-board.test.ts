import { closeSync, constants, existsSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { presetModel } from '@tributary/agent/sensors/models/presets';
import { SerialPort } from 'serialport';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { VirtualBoard } from './virtual-board.js';

const folder = mkdtempSync(join(tmpdir(), 'board-'));
const link = join(folder, 'port');
let board: VirtualBoard | undefined;

/** Lines of which no terminal holds as many. */
const NUMBERS = 100_000;

afterEach(() => board?.unplug());
afterAll(() => rmSync(folder, { recursive: true }));

function make(format: 'json' | 'csv' | 'key-value'): VirtualBoard {
  board = new VirtualBoard({
    series: [
      { name: 'temperature', model: presetModel('temperature', 1) },
      { name: 'door', model: presetModel('door', 2) },
    ],
    format,
    intervalMs: 5,
    link,
    nowUs: () => 0,
  });
  return board;
}

/** Opens the port as an agent does and answers its next lines. */
async function read(port: SerialPort, lines: number): Promise<string[]> {
  let text = '';
  for await (const bytes of port) {
    text += String(bytes);
    if (text.split('\n').length > lines + 1) break;
  }
  return text.split('\n').slice(1, lines + 1);
}

describe('the virtual board', () => {
  it.each([
    ['json', '{"temperature":50.5,"door":true}'],
    ['csv', '50.5,true'],
    ['key-value', 'temperature=50.5 door=true'],
  ] as const)('prints %s lines that a real serial port reads', async (format, expected) => {
    const made = make(format);
    made.setValue('temperature', 50.5);
    made.setValue('door', true);
    made.plug();
    const port = new SerialPort({ path: link, baudRate: 115_200 });
    expect(await read(port, 2)).toEqual([expected, expected]);
  });

  it('is gone when it is unplugged, and comes back at the same path as another device', async () => {
    const made = make('json');
    made.plug();
    const before = statSync(link).ino;
    const held = openSync(link, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
    made.unplug();
    expect(existsSync(link)).toBe(false);
    made.plug();
    expect(statSync(link).ino).not.toBe(before);
    closeSync(held);
    expect(await read(new SerialPort({ path: link, baudRate: 115_200 }), 1)).toHaveLength(1);
  });

  it('keeps nothing in memory while nobody reads, and goes on with whole lines when somebody does', async () => {
    const made = make('csv');
    made.plug();
    for (let number = 0; number < NUMBERS; number++) {
      made.setValue('temperature', number);
      made.print();
    }
    const { lines } = made;
    expect(lines).toBeGreaterThan(100);
    expect(lines).toBeLessThan(NUMBERS);
    made.setValue('temperature', NUMBERS);
    // Not as a serial port, which throws away what came before it was opened.
    const held = openSync(link, constants.O_RDONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
    const values = (await readAll(held, lines + 4)).map((line) => Number(line.split(',')[0]));
    closeSync(held);
    const expected = Array.from({ length: lines + 3 }, (_, at) => (at < lines ? at : NUMBERS));
    expect(values.slice(0, lines + 3)).toEqual(expected);
  });
});

/** Lines of a port without a hurry, until there are so many. */
async function readAll(descriptor: number, lines: number): Promise<string[]> {
  let text = '';
  const bytes = Buffer.alloc(65_536);
  while (text.split('\n').length <= lines) {
    try {
      text += bytes.toString('utf8', 0, readSync(descriptor, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  return text.split('\n');
}
