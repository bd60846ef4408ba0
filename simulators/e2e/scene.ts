import type { AgentStatus } from '@tributary/agent/health/agent-status';
import { readStatus } from '@tributary/agent/health/status-socket';
import { TcpProxy } from '../link/tcp-proxy.js';
import type { Child } from '../rig/child.js';
import { Observer } from '../rig/observer.js';
import { Rig } from '../rig/rig.js';
import { until } from '../rig/until.js';

/** What an agent of a test is besides its sources. */
export type AgentSettings = Record<string, unknown>;

/** Rows soon enough that a test need not wait, and both ages equal so that an outage changes nothing else. */
const QUICK_BATCHES = { maxAge: '100ms', maxAgeOffline: '100ms' };

/**
 * A collector, a bad link before it, agents behind that link, and an observer who asks the collector directly: all real
 * processes and sockets. A process that ends by itself fails the test at `close`.
 */
export class Scene {
  readonly failures: string[] = [];
  /** Added to the environment of whatever is started next, by name of the agent, or `collector`. */
  readonly env = new Map<string, Readonly<Record<string, string>>>();
  /** Those that may end by themselves, because they were made to. */
  readonly mayEnd = new Set<string>();
  readonly #agents = new Map<string, Child>();
  readonly #logs = new Map<string, Record<string, unknown>[]>();
  #collector: Child;

  private constructor(
    readonly rig: Rig,
    readonly proxy: TcpProxy,
    readonly observer: Observer,
    readonly collectorPort: number,
    collector: Child,
    private readonly collectorSettings: Record<string, unknown>,
  ) {
    this.#collector = collector;
  }

  static async open(name: string, settings: (rig: Rig) => Record<string, unknown> = () => ({})): Promise<Scene> {
    const rig = await Rig.create(name);
    const collectorSettings = settings(rig);
    const { child, port } = await rig.collector(collectorSettings);
    const proxy = await TcpProxy.listen(port);
    return new Scene(rig, proxy, new Observer(port, rig.operatorFiles), port, child, collectorSettings);
  }

  /** Starts an agent behind the link; one of that name must not be running. */
  async agent(name: string, sources: readonly unknown[], settings: AgentSettings = {}): Promise<Child> {
    const log = this.log(name);
    const hooks = {
      onLog: (line: Record<string, unknown>) => log.push(line),
      onFailure: (message: string) => this.#failed(name, message),
      env: this.env.get(name) ?? {},
    };
    const config = { batching: QUICK_BATCHES, ...settings, sources };
    const child = await this.rig.agent(name, this.proxy.port, config, hooks);
    this.#agents.set(name, child);
    return child;
  }

  /** Every line that agents of this name have logged, over all their lives. */
  log(name: string): Record<string, unknown>[] {
    const log = this.#logs.get(name) ?? [];
    this.#logs.set(name, log);
    return log;
  }

  status(name: string): Promise<AgentStatus> {
    return readStatus(this.rig.path(`${name}.sock`));
  }

  /** Waits until a condition on an agent's status holds, and answers that status. */
  untilStatus(name: string, what: string, holds: (status: AgentStatus) => boolean): Promise<AgentStatus> {
    return until(`${name}: ${what}`, async () => {
      const status = await this.status(name);
      return holds(status) ? status : undefined;
    });
  }

  async killAgent(name: string): Promise<void> {
    await this.#agents.get(name)?.kill();
  }

  /** Kills the process that was started last under a name, whether it has said that it is ready or not. */
  async killLatest(name: string): Promise<void> {
    await this.rig.latest(name)?.kill();
  }

  /** SIGTERM; answers the exit code. */
  async stopAgent(name: string): Promise<number | null | undefined> {
    return this.#agents.get(name)?.stop();
  }

  /** The process of a running agent, for signals and figures. */
  agentProcess(name: string): Child {
    return this.#agents.get(name)!;
  }

  get collectorProcess(): Child {
    return this.#collector;
  }

  async killCollector(): Promise<void> {
    await this.#collector.kill();
  }

  async stopCollector(): Promise<number | null> {
    return this.#collector.stop();
  }

  /** Starts the collector again where it was. */
  async restartCollector(): Promise<void> {
    const hooks = {
      onFailure: (message: string) => this.#failed('collector', message),
      env: this.env.get('collector') ?? {},
    };
    this.#collector = (await this.rig.collector(this.collectorSettings, hooks, this.collectorPort)).child;
  }

  /** Cuts the link; connections are refused until it is healed. */
  cutLink(): void {
    this.proxy.set({ refuse: true });
    this.proxy.cut();
  }

  /**
   * Stops an agent, lets one without sources bring the rest of the buffer over a sound link, and answers the readings that
   * the buffer has ever taken: what the agent's own disk says, against which the collector's audit is held.
   */
  async settle(name: string, settings: AgentSettings = {}): Promise<number> {
    await this.stopAgent(name);
    this.proxy.heal();
    await this.agent(name, [], settings);
    const { buffer } = await this.untilStatus(
      name,
      'the buffer is empty',
      ({ buffer, uplink }) => buffer.items === 0 && buffer.readings === 0 && uplink.registrations > 0,
    );
    await this.stopAgent(name);
    return buffer.readingsProduced;
  }

  #failed(name: string, message: string): void {
    if (!this.mayEnd.has(name)) this.failures.push(message);
  }

  async close(): Promise<void> {
    this.observer.close();
    await this.proxy.close();
    await this.rig.close();
    if (this.failures.length > 0) throw new Error(this.failures.join('\n'));
  }
}
