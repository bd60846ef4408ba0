import { parseArgs } from 'node:util';
import { PRESET_NAMES, type PresetName, presetModel } from '@tributary/agent/sensors/models/presets';
import { VirtualBoard } from './virtual-board.js';

/** `node simulators/dist/board/board-cli.js --link PATH`: a board to try an agent with, until Ctrl-C. */
const { values } = parseArgs({
  options: {
    link: { type: 'string', default: 'virtual-board' },
    format: { type: 'string', default: 'json' },
    interval: { type: 'string', default: '1000' },
    sensors: { type: 'string', default: 'temperature,humidity,pressure' },
    seed: { type: 'string', default: '1' },
  },
});

function fail(message: string): never {
  console.error(`error: ${message}`);
  process.exit(2);
}

const { format } = values;
if (format !== 'json' && format !== 'csv' && format !== 'key-value') {
  fail(`--format is ${format}; it must be json, csv or key-value`);
}
const intervalMs = Number(values.interval);
if (!(intervalMs >= 1)) fail(`--interval is ${values.interval}; it must be milliseconds, at least 1`);
const names = values.sensors.split(',');
const unknown = names.find((name) => !(PRESET_NAMES as readonly string[]).includes(name));
if (unknown !== undefined) fail(`--sensors names ${unknown}; there are ${PRESET_NAMES.join(', ')}`);

const board = new VirtualBoard({
  series: names.map((name, at) => ({ name, model: presetModel(name as PresetName, Number(values.seed) + at) })),
  format,
  intervalMs,
  link: values.link,
  nowUs: () => Date.now() * 1000,
});
board.plug();
console.log(`a virtual board prints ${format} at ${values.link}; Ctrl-C unplugs it`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    board.unplug();
    process.exit(0);
  });
}
