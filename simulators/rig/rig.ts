import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createCa, issueDevice, issueOperator, issueServer } from '@tributary/collector/identity/pki';
import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import { atExit } from './at-exit.js';
import { Child } from './child.js';

/** A Unix socket's path may have 107 bytes on Linux and 103 on macOS; the rig's own names take up to 40 of them. */
const FOLDER_LENGTH_MAX = 60;

/** How long a process may take to say that it is ready, before the rig gives up: compiled code on a busy small machine. */
const READY_MS = 30_000;

/** A process that was killed just now may still write its last file. */
const REMOVE_ALL = { recursive: true, force: true, maxRetries: 20, retryDelay: 50 } as const;

const TRUST_DOMAIN = 'rig.test';
const CERTIFICATE_DAYS = 2;

/** The repository's root, as seen from the built file. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The command line that a user of the package runs. */
export const programFile = (name: 'agent' | 'collector') => join(root, name, 'bin', `tributary-${name}.mjs`);

export interface ProcessHooks {
  /** Each line that the process logs, parsed. */
  onLog?: (line: Record<string, unknown>) => void;
  /** The process ended by itself. */
  onFailure?: (message: string) => void;
  /** Added to its environment. */
  env?: Readonly<Record<string, string>>;
}

export interface RunningCollector {
  child: Child;
  port: number;
}

/**
 * A collector and agents on this machine as processes of their own, with a throw-away PKI, all in one folder that is
 * removed at the end. The demo, the benchmarks and the end-to-end tests run on it.
 */
export class Rig {
  private readonly children: Child[] = [];
  private readonly staysNow: () => void;
  /** Of every certificate, because none may outlive its CA. */
  private readonly issuedMs = Date.now();

  private constructor(
    readonly folder: string,
    private readonly program: typeof programFile,
  ) {
    this.staysNow = atExit(() => this.remove());
  }

  /**
   * Makes the folder, inside the repository where the path is short enough for a socket, and the CA. `program` says which
   * command lines run; those of the workspace by default.
   */
  static async create(name: string, program: typeof programFile = programFile): Promise<Rig> {
    const base = join(root, '.run');
    const home = base.length <= FOLDER_LENGTH_MAX ? base : tmpdir();
    mkdirSync(home, { recursive: true });
    const rig = new Rig(mkdtempSync(join(home, `${name}-`)), program);
    const options = rig.pkiOptions();
    await createCa({ ...options, trustDomain: TRUST_DOMAIN });
    await issueServer({ ...options, hosts: ['127.0.0.1', 'localhost'] });
    await issueOperator({ ...options, name: 'rig' });
    return rig;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  get operatorFiles() {
    return this.tlsFiles('operator-rig');
  }

  /** Issues a device's certificate and answers what its uplink needs. */
  async device(name: string): Promise<TlsMaterial> {
    await issueDevice({ ...this.pkiOptions(), device: name });
    return loadTlsFiles(this.tlsFiles(`device-${name}`));
  }

  /** Starts a collector and waits until it takes readings. A fixed port lets it come back where it was. */
  async collector(
    overrides: Record<string, unknown> = {},
    hooks: ProcessHooks = {},
    port = 0,
    nodeArgs: readonly string[] = [],
  ): Promise<RunningCollector> {
    const config = this.collectorConfig(overrides, port);
    const ready = await this.start(
      'collector',
      [...nodeArgs, this.program('collector'), 'serve', '--config', config],
      hooks,
      (line) => (typeof line.listen === 'string' ? Number(line.listen.split(':').pop()) : undefined),
    );
    return { child: ready.child, port: ready.value };
  }

  /** Starts an agent and waits until its sources run. Its certificate must have been issued. */
  async agent(
    name: string,
    port: number,
    overrides: Record<string, unknown>,
    hooks: ProcessHooks = {},
    nodeArgs: readonly string[] = [],
  ): Promise<Child> {
    const config = this.agentConfig(name, port, overrides);
    const ready = await this.start(
      name,
      [...nodeArgs, this.program('agent'), 'run', '--config', config],
      hooks,
      (line) => (line.msg === 'the agent is sampling' ? true : undefined),
    );
    return ready.child;
  }

  /** What was started last under a name. */
  latest(name: string): Child | undefined {
    return this.children.findLast((child) => child.name === name);
  }

  /** Writes a collector's configuration and answers its file. */
  collectorConfig(overrides: Record<string, unknown>, port = 0): string {
    return this.writeConfig('collector', {
      listen: `127.0.0.1:${port}`,
      tls: this.tlsFiles('server'),
      trustDomain: TRUST_DOMAIN,
      store: { sqlite: { path: this.path('collector.db') } },
      health: { listen: '127.0.0.1:0' },
      ...overrides,
    });
  }

  /** Writes an agent's configuration and answers its file. */
  agentConfig(name: string, port: number, overrides: Record<string, unknown>): string {
    return this.writeConfig(name, {
      tls: this.tlsFiles(`device-${name}`),
      buffer: { path: this.path(`${name}.db`) },
      health: { metrics: 'off', socket: this.path(`${name}.sock`) },
      ...overrides,
      collector: { address: `127.0.0.1:${port}`, ...(overrides.collector as object | undefined) },
    });
  }

  /** Stops every process, the latest first, and removes the folder. */
  async close(): Promise<void> {
    for (const child of this.children.reverse()) await child.stop();
    this.staysNow();
    this.remove();
  }

  private remove(): void {
    rmSync(this.folder, REMOVE_ALL);
    try {
      rmdirSync(dirname(this.folder));
    } catch {
      // Another rig is still at work there, or it is the system's folder for temporary files.
    }
  }

  private pkiOptions() {
    return { dir: this.path('pki'), days: CERTIFICATE_DAYS, nowMs: this.issuedMs };
  }

  /** Where a certificate of the rig's PKI lies: `server`, `device-NAME`, `operator-NAME`. */
  tlsFiles(name: string): { ca: string; cert: string; key: string } {
    return { ca: this.path('pki/ca.pem'), cert: this.path(`pki/${name}.pem`), key: this.path(`pki/${name}-key.pem`) };
  }

  private writeConfig(name: string, config: Record<string, unknown>): string {
    const file = this.path(`${name}.yaml`);
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config, null, 2));
    return file;
  }

  private async start<T>(
    name: string,
    args: string[],
    hooks: ProcessHooks,
    readyValue: (line: Record<string, unknown>) => T | undefined,
  ): Promise<{ child: Child; value: T }> {
    return new Promise((resolve, reject) => {
      let child: Child | undefined;
      const timer = setTimeout(() => reject(new Error(`${name} was not ready within ${READY_MS / 1000} s`)), READY_MS);
      child = Child.start(
        name,
        args,
        (line) => {
          hooks.onLog?.(line);
          const value = readyValue(line);
          if (value === undefined) return;
          clearTimeout(timer);
          resolve({ child: child!, value });
        },
        (message) => {
          clearTimeout(timer);
          reject(new Error(message));
          hooks.onFailure?.(message);
        },
        hooks.env,
      );
      this.children.push(child);
    });
  }
}
