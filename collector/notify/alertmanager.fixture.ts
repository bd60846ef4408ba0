import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';

/** Debian's name, and the one of the project's own releases. */
const BINARIES = ['prometheus-alertmanager', 'alertmanager'];

/** The Alertmanager of this machine; undefined when there is none. */
export const alertmanagerBinary = BINARIES.find((name) => spawnSync(name, ['--version']).status === 0);

/** An alert as `GET /api/v2/alerts` has it. */
export interface GettableAlert {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt: string;
  generatorURL: string;
  status: { state: 'active' | 'suppressed' | 'unprocessed' };
}

/** A real Alertmanager on loopback, alone and with a folder of its own. */
export class Alertmanager {
  readonly port: number;
  readonly #dir: string;
  readonly #isSecure: boolean;
  #process: ChildProcess | undefined;

  private constructor(dir: string, port: number, isSecure: boolean) {
    this.#dir = dir;
    this.port = port;
    this.#isSecure = isSecure;
  }

  /**
   * Prepares one in `dir` that notifies `hook` at once of each alert, one by one. `web` is its web configuration, with
   * TLS, where it has one.
   */
  static async prepare(dir: string, hook: string, web?: string): Promise<Alertmanager> {
    mkdirSync(join(dir, 'data'), { recursive: true });
    writeFileSync(
      join(dir, 'alertmanager.yml'),
      `route: { receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }
receivers: [{ name: hook, webhook_configs: [{ url: '${hook}', send_resolved: true }] }]
`,
    );
    if (web !== undefined) writeFileSync(join(dir, 'web.yml'), web);
    return new Alertmanager(dir, await freePort(), web !== undefined);
  }

  get url(): string {
    return `${this.#isSecure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  /** Starts it, and resolves when it takes alerts, or at once where that takes a password. What it knew before a `kill` it may have forgotten. */
  async start(): Promise<void> {
    const child = spawn(
      alertmanagerBinary!,
      [
        `--config.file=${join(this.#dir, 'alertmanager.yml')}`,
        `--storage.path=${join(this.#dir, 'data')}`,
        `--web.listen-address=127.0.0.1:${this.port}`,
        '--cluster.listen-address=',
        '--log.level=error',
        ...(this.#isSecure ? [`--web.config.file=${join(this.#dir, 'web.yml')}`] : []),
      ],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    this.#process = child;
    if (this.#isSecure) return;
    let exited = false;
    child.once('exit', () => {
      exited = true;
    });
    for (;;) {
      if (exited) throw new Error('the Alertmanager ended at once');
      const ready = await fetch(`${this.url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (ready) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Alerts that are not resolved. */
  async alerts(): Promise<GettableAlert[]> {
    const response = await fetch(`${this.url}/api/v2/alerts`);
    return (await response.json()) as GettableAlert[];
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
