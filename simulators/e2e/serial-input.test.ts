import { renameSync, symlinkSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { PseudoTerminal } from '../board/pseudo-terminal.js';
import { countReadings } from '../rig/observer.js';
import { Scene } from './scene.js';

let scene: Scene;
const terminals: PseudoTerminal[] = [];

afterEach(async () => {
  for (const terminal of terminals.splice(0)) terminal.close();
  await scene.close();
});

function terminal(): PseudoTerminal {
  const made = new PseudoTerminal();
  terminals.push(made);
  return made;
}

/** Bad lines as a board may send them, and the reason that each is counted under. */
const badJson: [string | Buffer, string][] = [
  ['{"n":NaN}', 'not_a_number'],
  ['{"n":-Infinity}', 'not_a_number'],
  ['{"n":"12.5"}', 'number_as_string'],
  ['{"n":1e999}', 'number_range'],
  ['{"n":0x1F}', 'bad_number'],
  ['{"n":1,"n":2}', 'duplicate_field'],
  ['{"n":null}', 'null_value'],
  ['{"n":true}', 'type_changed'],
  ['{"n":[1,2]}', 'array'],
  ['{"n":12', 'malformed'],
  ['12}', 'malformed'],
  ['nonsense', 'malformed'],
  ['{"n":1}{"n":2}', 'malformed'],
  [Buffer.from([0x7b, 0xff, 0xfe, 0x80, 0x7d]), 'not_utf8'],
  ['{"n":1\u0007}', 'control_character'],
  [Buffer.alloc(1 << 20, '9'), 'line_too_long'],
];

const badCsv: [string, string][] = [
  ['1,2,3', 'column_count'],
  ['1', 'column_count'],
  ['1,', 'empty_value'],
  ['nan,2', 'not_a_number'],
  ['1.5C,2', 'bad_number'],
];

/** Bytes of line noise without a line end, so that each is one bad line; the first is not of UTF-8. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length, 0xff);
  for (let at = 1; at < length; at++) bytes[at] = (at * 151 + 37) & 0xff;
  return Buffer.from(bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d));
}

describe('a serial line that carries bad input', () => {
  it('brings every good line and no other value, and counts each bad one by its reason', async () => {
    scene = await Scene.open('serial');
    await scene.rig.device('board');
    const json = terminal();
    const csv = terminal();
    await scene.agent('board', [
      { type: 'serial', name: 'json', path: json.path, format: 'json' },
      { type: 'serial', name: 'csv', path: csv.path, format: 'csv', csv: { columns: ['x', 'y'] } },
    ]);
    await scene.untilStatus('board', 'both ports are open', ({ sources }) =>
      sources.every(({ state }) => state === 'running'),
    );

    const expected: Record<string, number> = {};
    const count = (reason: string) => {
      expected[reason] = (expected[reason] ?? 0) + 1;
    };
    const n: number[] = [];
    const good = () => {
      n.push(n.length + 0.25);
      json.write(`{"n":${n.at(-1)}}\n`);
    };
    // The beginning of the first line was not seen, even if what came of it looks like a line.
    json.write('{"n":999}\n');
    count('first_fragment');
    good();
    for (const [line, reason] of [...badJson, [noise(3000), 'not_utf8'] as const]) {
      json.write(line);
      json.write('\n');
      count(reason);
      good();
    }
    // A good line in pieces is a good line.
    n.push(n.length + 0.25);
    json.write('{"n"');
    json.write(`:${n.at(-1)}}`);
    json.write('\r\n');

    const x: number[] = [];
    csv.write('9,9\n');
    count('first_fragment');
    for (const [line, reason] of badCsv) {
      x.push(x.length);
      csv.write(`${line}\n${x.at(-1)},-0.5\n`);
      count(reason);
    }

    const readings = n.length + 2 * x.length;
    const status = await scene.untilStatus(
      'board',
      'all lines are read',
      ({ readings: { taken, pending } }) => taken + pending >= readings,
    );
    expect(status.readings.dropped).toEqual(expected);
    expect(status.sources.map(({ state }) => state)).toEqual(['running', 'running']);

    // Nothing of this fills the log: two lines a reason and source at the most, of a few hundred bytes.
    const dropped = scene.log('board').filter(({ msg }) => msg === 'input was dropped');
    expect(dropped.length).toBeLessThanOrEqual(2 * (badJson.length + badCsv.length + 3));
    expect(Math.max(...dropped.map((line) => JSON.stringify(line).length))).toBeLessThan(1000);

    const produced = await scene.settle('board');
    expect(produced).toBe(readings);
    const found = await scene.observer.readings('board');
    expect(countReadings(found)).toBe(readings);
    expect([...found.keys()].sort()).toEqual(['n', 'x', 'y']);
    expect(found.get('n')!.values).toEqual(n);
    expect(found.get('x')!.values).toEqual(x);
    expect(found.get('y')!.values).toEqual(x.map(() => -0.5));
    expect(await scene.observer.sums()).toMatchObject({ produced, stored: produced, missing: 0, doubled: 0 });
  });

  it('is waited for, ends its last line at an unplug, and is read on when the board is back', async () => {
    scene = await Scene.open('unplug');
    await scene.rig.device('board');
    const path = scene.rig.path('tty');
    const plug = () => {
      const fresh = terminal();
      symlinkSync(fresh.path, `${path}.new`);
      renameSync(`${path}.new`, path);
      return fresh;
    };
    const running = () =>
      scene.untilStatus('board', 'the port is open', ({ sources }) => sources[0]?.state === 'running');
    const waiting = () =>
      scene.untilStatus('board', 'it waits for the board', ({ sources }) => sources[0]?.state === 'waiting');
    await scene.agent('board', [{ type: 'serial', name: 'board', path, format: 'key-value', firstLine: 'keep' }]);
    await waiting();
    const before = plug();
    await running();
    before.write('n=1\nn=2\nn=33');
    await scene.untilStatus('board', 'two lines are read', ({ readings: r }) => r.taken + r.pending === 2);
    before.close();
    await waiting();
    const after = plug();
    await running();
    after.write('n=3\n');
    const { readings } = await scene.untilStatus('board', 'it reads on', ({ readings: r }) => r.taken + r.pending >= 3);
    expect(readings.dropped).toEqual({ unfinished_line: 1 });
    expect(await scene.settle('board')).toBe(3);
    expect((await scene.observer.readings('board')).get('n')!.values).toEqual([1, 2, 3]);
  });
});
