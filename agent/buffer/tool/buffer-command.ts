import { loadConfig } from '@tributary/core/config/load-config';
import { runCommand } from '@tributary/core/errors/command-failure';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { type Command, Option } from 'commander';
import { agentSchema } from '../../config/schema.js';

interface BufferOptions {
  config?: string;
  path?: string;
  json?: boolean;
}

/** `tributary-agent buffer …`: the buffer's tools, each loaded when it is asked for. */
export function addBufferCommand(program: Command): void {
  const command = program.command('buffer').description("look at an agent's buffer, and repair it");
  const add = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .option('--config <file>', 'configuration of the agent')
      .option('--path <file>', 'the database itself; also one that was moved aside (.damaged-1)');
  add('status', 'what waits in it; also while the agent runs. Exit status 1 when the file is damaged')
    .option('--json', 'one line of JSON')
    .action((options: BufferOptions) => runCommand(() => status(options)));
  add('verify', 'check every row; also while the agent runs. Exit status 1 when something is wrong')
    .option('--json', 'one line of JSON')
    .action((options: BufferOptions) => runCommand(() => verify(options)));
  add('export', 'write the readings that wait to standard output; also while the agent runs')
    .addOption(new Option('--format <format>', 'csv, or a JSON object a line').choices(['csv', 'jsonl']).default('csv'))
    .action((options: BufferOptions & { format: 'csv' | 'jsonl' }) => runCommand(() => exportReadings(options)));
  add('repair', 'salvage a damaged buffer and check every row, while no agent runs')
    .option('--json', 'one line of JSON')
    .action((options: BufferOptions) => runCommand(() => repair(options)));
}

/** Whoever reads the export has seen enough, as `head` has. */
class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

function bufferOf({ config, path }: BufferOptions): { path: string; quota?: number } {
  if (path !== undefined && config !== undefined)
    throw new TributaryError('usage', 'name --config or --path, not both');
  if (path !== undefined) return { path };
  if (config === undefined) throw new TributaryError('usage', 'name the buffer with --config FILE or --path FILE');
  return loadConfig(config, agentSchema).buffer;
}

async function status(options: BufferOptions): Promise<void> {
  const { statusOfBuffer, statusText } = await import('./buffer-status.js');
  const found = statusOfBuffer(bufferOf(options).path);
  process.stdout.write(options.json === true ? `${JSON.stringify(found)}\n` : statusText(found));
  if (found.damage !== undefined) process.exitCode = 1;
}

async function verify(options: BufferOptions): Promise<void> {
  const { reportText, verifyBuffer } = await import('./verify-buffer.js');
  const report = verifyBuffer(bufferOf(options).path);
  process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : reportText(report));
  if (report.findings.length > 0) process.exitCode = 1;
}

async function exportReadings(options: BufferOptions & { format: 'csv' | 'jsonl' }): Promise<void> {
  const { writeSync } = await import('node:fs');
  const { exportBuffer } = await import('./export-buffer.js');
  // Synchronously, so that a slow reader slows the export and nothing piles up.
  const write = (text: string): void => {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(1, bytes, at);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // To whoever made the copy, who removes it.
        if (code === 'EPIPE') throw new ReaderGone();
        if (code !== 'EAGAIN') throw error;
        // A pipe that does not block and is full.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
  };
  let written: ReturnType<typeof exportBuffer>;
  try {
    written = exportBuffer(bufferOf(options).path, options.format, write);
  } catch (error) {
    if (error instanceof ReaderGone) return;
    throw error;
  }
  const { items, readings, skipped, damage } = written;
  const left = skipped === 0 ? '' : `; ${skipped} items were left out: damaged, or of a later form`;
  process.stderr.write(`${readings} readings of ${items} items${left}\n`);
  if (damage !== undefined) process.stderr.write(`FOUND: ${damage}\n`);
  if (skipped > 0 || damage !== undefined) process.exitCode = 1;
}

async function repair(options: BufferOptions): Promise<void> {
  const { repairBuffer, repairText } = await import('./repair-buffer.js');
  const { path, quota } = bufferOf(options);
  const report = repairBuffer(path, quota);
  process.stdout.write(options.json === true ? `${JSON.stringify(report)}\n` : repairText(report));
}
