import { loadConfig } from '@tributary/core/config/load-config';
import { namingField, tlsFields } from '@tributary/core/config/name-field';
import { runCommand } from '@tributary/core/errors/command-failure';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Command } from 'commander';
import { addBufferCommand } from './buffer/tool/buffer-command.js';
import { agentSchema } from './config/schema.js';
import { agentVersion } from './runtime/version.js';

/** A second signal, or a stop that takes longer than this, ends the process at once: readings in the buffer are safe. */
const stopMsMax = 22_000;

const program = new Command('tributary-agent')
  .description('Reads sensors, keeps the readings until a collector has them, and brings its alerts back.')
  .version(agentVersion())
  .showHelpAfterError('(tributary-agent --help lists the commands)')
  .exitOverride((error) => {
    // Help and version are no failures; whatever else commander refuses, the caller wrote.
    process.exit(error.exitCode === 0 ? 0 : 2);
  });

program
  .command('run')
  .description('run the agent until SIGTERM or SIGINT')
  .requiredOption('--config <file>', 'configuration (YAML)')
  .action(({ config }: { config: string }) => runCommand(() => run(config)));

program
  .command('validate')
  .description('check a configuration and the files that it names, and do nothing else')
  .argument('[file]', 'configuration (YAML)')
  .option('--config <file>', 'the same')
  .action((file: string | undefined, options: { config?: string }) =>
    runCommand(() => validate(options.config ?? file)),
  );

program
  .command('status')
  .description('ask the running agent how it is')
  .option('--config <file>', 'configuration of the agent')
  .option('--socket <path>', "the agent's status socket")
  .option('--json', 'one line of JSON')
  .action((options: StatusOptions) => runCommand(() => status(options)));

addBufferCommand(program);

interface StatusOptions {
  config?: string;
  socket?: string;
  json?: boolean;
}

async function run(file: string): Promise<void> {
  const config = loadConfig(file, agentSchema);
  // The buffer opens in its own thread while the rest is being loaded.
  const { SqliteBuffer } = await import('./buffer/sqlite-buffer.js');
  const { bufferOptions } = await import('./runtime/buffer-options.js');
  const buffer = SqliteBuffer.open(bufferOptions(config));
  // Until the agent takes it, nobody else waits for it.
  buffer.catch(() => {});
  const { createLogger } = await import('@tributary/core/log/logger');
  const { startAgent } = await import('./agent.js');
  const log = createLogger('tributary-agent', config.log.level);
  const agent = await namingField(file, tlsFields(config.tls), () => startAgent(config, { log, buffer }));
  await new Promise<void>((resolve) => {
    const signals = ['SIGTERM', 'SIGINT'] as const;
    const stop = () => {
      for (const signal of signals) process.on(signal, () => process.exit(1));
      setTimeout(() => process.exit(1), stopMsMax).unref();
      agent.stop().then(resolve, resolve);
    };
    for (const signal of signals) process.once(signal, stop);
  });
  process.exit(0);
}

async function validate(file: string | undefined): Promise<void> {
  if (file === undefined) throw new TributaryError('usage', 'name the file: tributary-agent validate --config FILE');
  const config = loadConfig(file, agentSchema);
  const { loadTlsFiles } = await import('@tributary/core/identity/tls-files');
  await namingField(file, tlsFields(config.tls), () => loadTlsFiles(config.tls, 'device'));
  const { programProblems } = await import('./alerts/program-problems.js');
  const problems = programProblems(config.alerts).map(({ field, message }) => `${file}: ${field}: ${message}`);
  if (problems.length > 0) throw new TributaryError('config', problems.join('\n'));
  process.stdout.write(`${file}: ok\n`);
}

async function status({ config, socket, json }: StatusOptions): Promise<void> {
  const { readStatus } = await import('./health/status-socket.js');
  const answer = await readStatus(await socketOf(config, socket));
  const { statusTable } = await import('./health/status-table.js');
  process.stdout.write(json === true ? `${JSON.stringify(answer)}\n` : statusTable(answer));
}

async function socketOf(config: string | undefined, socket: string | undefined): Promise<string> {
  if (socket !== undefined) return socket;
  if (config === undefined) throw new TributaryError('usage', 'name the agent with --config FILE or --socket PATH');
  const { statusPath } = await import('./runtime/status-path.js');
  const path = statusPath(loadConfig(config, agentSchema));
  if (path === undefined) throw new TributaryError('usage', `${config}: health.socket is off, so there is no status`);
  return path;
}

await program.parseAsync();
