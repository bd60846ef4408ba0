import { Command, InvalidArgumentError } from 'commander';
import { endOnSignals } from '../rig/at-exit.js';
import type { Fault } from './fault.js';
import { faults } from './registry.js';
import { type FaultResult, runFault } from './run-fault.js';

interface Options {
  times?: number;
  seed: number;
  minutes?: number;
  short?: boolean;
  json?: boolean;
  list?: boolean;
}

function whole(min: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text === '' || !Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`a whole number from ${min} on is needed.`);
    }
    return value;
  };
}

const command = new Command('faults')
  .description(
    'Breaks real processes, files and links, and compares what the collector serves with a ledger of its own.',
  )
  .argument('[numbers...]', 'rows of the fault list; all of them by default')
  .option('--times <count>', 'how often each fault strikes, instead of what its row says', whole(1))
  .option('--seed <number>', 'chooses the moments at which faults strike', whole(0), 1)
  .option('--minutes <count>', 'how long the soak goes on', whole(1))
  .option('--short', 'the short form of each row, as in the tests')
  .option('--json', 'one object a row')
  .option('--list', 'say which rows there are, and run nothing')
  .showHelpAfterError('(npm run faults -- --help says more)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();

const options = command.opts<Options>();
const chosen = command.args.length === 0 ? faults : command.args.map(faultOf);

function faultOf(text: string): Fault {
  const found = faults.find(({ number }) => String(number) === text);
  if (found !== undefined) return found;
  const known = faults.map(({ number }) => number).join(', ');
  process.stderr.write(`error: ${text} is no row of the fault list; there are ${known}\n`);
  process.exit(2);
}

const COLUMNS = ['fault', 'times', 'produced', 'stored', 'declared', 'missing', 'duplicates', 'altered'] as const;

function line(cells: readonly unknown[], verdict: string, why: string): string {
  return `${cells.map((cell) => String(cell).padStart(10)).join(' ')}  ${verdict.padEnd(7)}  ${why}\n`;
}

function show(result: FaultResult): void {
  if (options.json === true) process.stdout.write(`${JSON.stringify(result)}\n`);
  else
    process.stdout.write(
      line(
        COLUMNS.map((column) => result[column]),
        result.verdict,
        result.why,
      ),
    );
}

if (options.list === true) {
  for (const { number, title, times } of faults)
    process.stdout.write(`${String(number).padStart(3)}  ${title} (${times})\n`);
  process.exit(0);
}

endOnSignals();
if (options.json !== true) process.stdout.write(line(COLUMNS, 'verdict', 'why'));
let failed = 0;
for (const fault of chosen) {
  const log = (text: string) => process.stderr.write(`  ${fault.number} ${fault.title}: ${text}\n`);
  const isShort = options.short === true;
  const times = options.times ?? (isShort ? fault.shortTimes : fault.times);
  const { seed, minutes } = options;
  const result = await runFault(fault, { times, seed, minutes, isShort, patience: 1, log });
  show(result);
  if (result.verdict === 'fail') failed++;
}
// Whatever a row has left open must not keep the command from ending.
process.stdout.write('', () => process.exit(failed > 0 ? 1 : 0));
