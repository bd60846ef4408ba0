import { closeSync, constants, existsSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { presetModel } from '@tributary/agent/sensors/models/presets';
import { SerialPort } from 'serialport';
import { afterEach, describe, expect, it } from 'vitest';
import { VirtualBoard } from './virtual-board.js';

const folder = mkdtempSync(join(tmpdir(), 'board-'));
const link = join(folder, 'port');
let board: VirtualBoard | undefined;

afterEach(() => board?.unplug());

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
});

process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
