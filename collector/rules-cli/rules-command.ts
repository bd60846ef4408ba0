import { parseDurationMs } from '@tributary/core/config/duration';
import { loadConfig } from '@tributary/core/config/load-config';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { type Command, InvalidArgumentError } from 'commander';
import { parseInstantUs } from '../query/instant-format.js';
import type { SourceFlags } from './check/known-source.js';
import type { TestFlags } from './trial/test-command.js';

interface CheckFlags extends SourceFlags {
  seriesMax?: number;
  json?: boolean;
}

interface ReplayFlags {
  config?: string;
  store?: string;
  rules?: string;
  since: string;
  until?: string;
  lead?: string;
  device: string;
  rule: string;
  against?: boolean;
  json?: boolean;
}

/** Adds `rules check | test | replay`. Failures reject with a `TributaryError`. What a command needs is loaded when it runs. */
export function addRulesCommands(program: Command): void {
  const rules = program.command('rules').description('check rules, test them, and see what they would have done');

  rules
    .command('check')
    .description('say what is wrong with rules; exit status 1 when something is, 2 when the file cannot be read')
    .argument('[file]', "file of rules; the configuration's when absent")
    .option('--config <file>', "a collector's configuration: its store says which series are known")
    .option('--store <file>', 'the SQLite store of a collector, running or not, for the same')
    .option('--address <host:port>', 'a running collector to ask for the same')
    .option('--ca <file>', 'CA certificates')
    .option('--cert <file>', 'certificate of an operator')
    .option('--key <file>', 'its private key')
    .option('--series-max <number>', 'warn of rules that watch more series', parseCount)
    .option('--json', 'one JSON object')
    .action(async (file: string | undefined, { json, seriesMax, ...source }: CheckFlags) => {
      const { printCheck, SERIES_MAX_DEFAULT } = await import('./check/check-command.js');
      const { openKnown } = await import('./check/known-source.js');
      const rulesFile = file ?? (await rulesFileOf(source.config));
      const known = await openKnown(source);
      try {
        const max = seriesMax ?? SERIES_MAX_DEFAULT;
        const isInOrder = await printCheck(rulesFile, known?.series, max, json === true, process.stdout);
        if (!isInOrder) process.exitCode = 1;
      } finally {
        await known?.close();
      }
    });

  rules
    .command('test')
    .description('run tests of rules; exit status 1 when one fails, 2 when a file is wrong')
    .argument('<file...>', 'files of tests')
    .option('--filter <pattern>', 'only tests of such a name, * as wildcard')
    .option('--json', 'one JSON object a test')
    .option('--junit <file>', "write the results as JUnit's XML as well")
    .action(async (files: string[], flags: TestFlags) => {
      const { runTests } = await import('./trial/test-command.js');
      const pass = await runTests(files, flags, (text) => process.stdout.write(text));
      if (!pass) process.exitCode = 1;
    });

  rules
    .command('replay')
    .description(
      'say what rules would have done on the readings that are stored, beside a running collector or without',
    )
    .option('--config <file>', "a collector's configuration, which names the store and the rules")
    .option('--store <file>', 'the SQLite store of a collector, running or not')
    .option('--rules <file>', "file of rules; the configuration's when absent")
    .option('--since <time>', 'ISO 8601, or how long ago', '7d')
    .option('--until <time>', 'the same; this instant is not included; now when absent')
    .option('--lead <duration>', 'how long before the rules begin to look; as long as they remember, up to 7d')
    .option('--device <pattern>', 'only such devices, * as wildcard', '*')
    .option('--rule <pattern>', 'only rules of such a name, * as wildcard', '*')
    .option('--against', 'compare with what really fired')
    .option('--json', 'one JSON object a line')
    .action(async (flags: ReplayFlags) => {
      const { printReplay } = await import('./replay/replay-command.js');
      const { storePathOf } = await import('./check/known-source.js');
      const { config, store, lead, device, rule } = flags;
      if ((config === undefined) === (store === undefined)) {
        throw new TributaryError('usage', 'write one of --config and --store');
      }
      const nowMs = Date.now();
      await printReplay(
        {
          rulesFile: flags.rules ?? (await rulesFileOf(config)),
          storeFile: store ?? (await storePathOf(config!)),
          sinceUs: instantOf('--since', flags.since, nowMs),
          untilUs: flags.until === undefined ? nowMs * 1000 : instantOf('--until', flags.until, nowMs),
          leadMs: lead === undefined ? undefined : durationOf('--lead', lead),
          device,
          rule,
          isCompared: flags.against === true,
          json: flags.json === true,
        },
        {
          out: process.stdout,
          log: (line) => process.stderr.write(`${line}\n`),
          nowMs: () => performance.now(),
        },
      );
    });
}

function instantOf(flag: string, text: string, nowMs: number): number {
  const us = parseInstantUs(text, nowMs);
  if (us !== undefined) return us;
  throw new TributaryError(
    'usage',
    `${flag} ${text}: write a time such as 2026-03-01T12:00:00Z, or 7d for that long ago`,
  );
}

function durationOf(flag: string, text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw new TributaryError('usage', `${flag} ${text}: write a whole number with its unit, such as 30s, 5m, 24h or 7d`);
}

async function rulesFileOf(configFile: string | undefined): Promise<string> {
  if (configFile === undefined)
    throw new TributaryError('usage', 'name a file of rules, or --config FILE that names it');
  const { collectorSchema } = await import('../config/schema.js');
  const { rules } = loadConfig(configFile, collectorSchema);
  if (rules !== undefined) return rules;
  throw new TributaryError('usage', `${configFile} names no rules; name a file of rules`);
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('a whole number above 0 is needed');
  return Number(text);
}
