import { PRESET_NAMES, type PresetName, presetModel } from '@tributary/agent/sensors/models/presets';
import { Command, InvalidArgumentError, Option } from 'commander';
import { VirtualBoard } from './virtual-board.js';

interface Options {
  link: string;
  format: 'json' | 'csv' | 'key-value';
  interval: number;
  sensors: PresetName[];
  seed: number;
}

/** A timer cannot be shorter, nor longer. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;

function interval(text: string): number {
  const ms = Number(text);
  if (!(ms >= 1 && ms <= INTERVAL_MS_MAX)) throw new InvalidArgumentError('milliseconds are needed, at least 1.');
  return ms;
}

function sensors(text: string): PresetName[] {
  const names = text.split(',');
  const unknown = names.find((name) => !(PRESET_NAMES as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InvalidArgumentError(`there is no ${unknown}; name ${PRESET_NAMES.join(', ')}.`);
  return names as PresetName[];
}

function seed(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number is needed.');
  return value;
}

const command = new Command('node simulators/dist/board/board-cli.js')
  .description('A board to try an agent with: prints lines of sensor values on a pseudo-terminal, until Ctrl-C.')
  .option('--link <path>', 'where its port appears', 'virtual-board')
  .addOption(
    new Option('--format <format>', 'what a line is').choices(['json', 'csv', 'key-value'] as const).default('json'),
  )
  .option('--interval <ms>', 'from line to line', interval, 1000)
  .addOption(
    new Option('--sensors <names>', 'which it has')
      .argParser(sensors)
      .default(['temperature', 'humidity', 'pressure'], 'temperature,humidity,pressure'),
  )
  .option('--seed <number>', 'of the values', seed, 1)
  .showHelpAfterError('(--help says more)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();

const options = command.opts<Options>();
const board = new VirtualBoard({
  series: options.sensors.map((name, at) => ({ name, model: presetModel(name, options.seed + at) })),
  format: options.format,
  intervalMs: options.interval,
  link: options.link,
  nowUs: () => Date.now() * 1000,
});
try {
  board.plug();
} catch (error) {
  console.error(`error: --link ${options.link}: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
console.log(`a virtual board prints ${options.format} at ${options.link}; Ctrl-C unplugs it`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    board.unplug();
    process.exit(0);
  });
}
