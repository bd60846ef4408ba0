import { type Clock, type Scheduler, systemClock, systemScheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Logger } from 'pino';
import type { Agent } from '../agent-interface.js';
import type { AgentConfig } from '../config/schema.js';
import { ServiceManager } from '../health/service-manager.js';
import { Watchdog } from '../health/watchdog.js';

export interface AgentServiceDeps {
  agent: Pick<Agent, 'progress' | 'reload'>;
  log: Logger;
  env: NodeJS.ProcessEnv;
  /** Reads the configuration again. */
  read(): AgentConfig;
  clock?: Clock;
  scheduler?: Scheduler;
}

/** A look may be slow, and one may be missed, before the service manager loses patience. */
const LOOKS_IN_PATIENCE = 3;

/** The agent as a service: it says when it is ready, that it gets on, and that it stops; and it is reloaded. */
export class AgentService {
  readonly #deps: AgentServiceDeps;
  readonly #manager: ServiceManager | undefined;
  readonly #watchdog: Watchdog | undefined;

  constructor(deps: AgentServiceDeps) {
    const { agent, log, env, scheduler = systemScheduler } = deps;
    this.#deps = deps;
    const manager = ServiceManager.fromEnvironment(env, log);
    this.#manager = manager;
    if (manager?.watchdogMs === undefined) return;
    this.#watchdog = new Watchdog({
      scheduler,
      log,
      everyMs: manager.watchdogMs / LOOKS_IN_PATIENCE,
      progress: () => agent.progress(),
      pet: (summary) => void manager.alive(summary),
    });
  }

  /** To be called when the agent samples and its buffer is open, or the disk has refused it. */
  start(): void {
    void this.#manager?.ready('samples');
    this.#watchdog?.start();
  }

  /** Takes what a running agent can take of the configuration as it is now, and says what needs a restart. Never rejects. */
  async reload(): Promise<void> {
    const { agent, log, read, clock = systemClock } = this.#deps;
    void this.#manager?.reloading(clock.monotonicUs());
    try {
      const { applied, needsRestart } = agent.reload(read());
      log.info({ applied }, 'the configuration and the certificates were read again');
      if (needsRestart.length > 0) log.warn({ needsRestart }, 'changed fields take effect when the agent is restarted');
    } catch (thrown) {
      const { message } = TributaryError.from(thrown);
      log.warn({ why: message }, 'nothing was reloaded; the agent goes on as it was');
    }
    await this.#manager?.ready('samples');
  }

  stop(): void {
    this.#watchdog?.stop();
    void this.#manager?.stopping();
  }
}
