import type { Command } from 'commander';
import type { TestFlags } from './trial/test-command.js';

/** Adds `rules test`. Failures reject with a `TributaryError`. What a command needs is loaded when it runs. */
export function addRulesCommands(program: Command): void {
  const rules = program.command('rules').description('check rules, test them, and see what they would have done');

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
}
