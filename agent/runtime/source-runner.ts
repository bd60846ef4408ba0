import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { RateLimit } from '@tributary/core/log/rate-limit';
import type { Logger } from 'pino';
import type { Batcher } from '../batching/batcher.js';
import { createSource } from '../sensors/create-source.js';
import type { SourceConfig } from '../sensors/schema.js';
import { serialportBinding } from '../sensors/serial/serialport-binding.js';
import type { Source, SourceHost, SourceState } from '../sensors/source.js';
import type { DropCounter } from './drop-counter.js';

export interface SourceRunnerDeps {
  batcher: Batcher;
  clock: Clock;
  scheduler: Scheduler;
  random: Random;
  log: Logger;
  drops: DropCounter;
}

/** What a source does now, in words. */
export interface SourceReport {
  name: string;
  state: SourceState['state'];
  why?: string;
}

/** Runs the configured sources into the batcher, and knows what each does. */
export class SourceRunner {
  readonly #sources: Source[];
  readonly #states = new Map<string, SourceState>();
  readonly #deps: SourceRunnerDeps;
  readonly #limit = new RateLimit();

  constructor(configs: readonly SourceConfig[], deps: SourceRunnerDeps) {
    this.#deps = deps;
    const { scheduler, random } = deps;
    this.#sources = configs.map((config) =>
      createSource(config, this.#host(config.name), { scheduler, random, serialBinding: serialportBinding }),
    );
  }

  start(): void {
    for (const source of this.#sources) source.start();
  }

  /** Resolves when no source brings anything any more. A source that cannot stop does not hold the others up. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#sources.map((source) => source.stop()));
  }

  /** As {@link Source.write}, to the source of that name. */
  async write(name: string, bytes: Uint8Array, timeoutMs: number): Promise<void> {
    const source = this.#sources.find((each) => each.name === name);
    if (source?.write === undefined) throw new TributaryError('unsupported', `${name}: nothing can be written to it`);
    await source.write(bytes, timeoutMs);
  }

  get reports(): SourceReport[] {
    return this.#sources.map(({ name }) => {
      const state = this.#states.get(name) ?? { state: 'starting' };
      return state.state === 'waiting' ? { name, state: state.state, why: state.why } : { name, state: state.state };
    });
  }

  #host(name: string): SourceHost {
    const { batcher, clock, scheduler, log, drops } = this.#deps;
    return {
      monotonicUs: () => clock.monotonicUs(),
      openGroup: (line) => batcher.openGroup(line),
      ready: () => batcher.ready(),
      drop: (reason, detail) => {
        drops.count(reason, 1);
        const admission = this.#limit.admit(`${name} ${reason}`, scheduler.nowMs());
        if (!admission.report) return;
        const { suppressed } = admission;
        log.warn({ source: name, reason, detail, ...(suppressed > 0 ? { suppressed } : {}) }, 'input was dropped');
      },
      report: (state) => {
        this.#states.set(name, state);
        if (state.state === 'waiting') {
          const admission = this.#limit.admit(`${name} waiting`, scheduler.nowMs());
          if (admission.report) log.warn({ source: name, ...state }, 'a source waits');
        } else log.debug({ source: name, ...state }, 'a source has changed');
      },
    };
  }
}
