import type { Scheduler } from '@tributary/core/clock/clock';
import { parseRules } from '@tributary/core/rules/rule';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { pino } from 'pino';
import type { Store } from '../store/store.js';
import { DerivedPipeline, type DerivedPipelineOptions } from './pipeline.js';

/** For tests: time that goes on when it is told to. */
export class TestTime implements Scheduler {
  ms = 0;
  readonly #timers = new Set<{ atMs: number; fire: () => void }>();

  nowMs(): number {
    return this.ms;
  }

  setTimer(delayMs: number, fire: () => void): () => void {
    const timer = { atMs: this.ms + delayMs, fire };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Fires what is due, the earliest first, and lets what it began come to rest. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.ms + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.ms = Math.max(this.ms, next.atMs);
      next.fire();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.ms = untilMs;
  }
}

/** For tests: a pipeline over a real store, whose wall clock stands far behind all readings. */
export function testPipeline(
  store: Store,
  rules: string,
  options: Partial<DerivedPipelineOptions> = {},
): DerivedPipeline {
  return new DerivedPipeline({
    store,
    rules: parseRules(rules, 'rules.yaml'),
    clock: { wallUs: () => 100_000_000e6 },
    scheduler: { nowMs: () => 0, setTimer: () => () => {} },
    logger: pino({ level: 'silent' }),
    wake: () => {},
    ...options,
  });
}

/** For tests: a device's incidents in words, in order of their beginning: `hot 10..20 told`. */
export async function incidentsOf(store: Store, deviceId: number, withRetracted = false): Promise<string[]> {
  const filter = { deviceId, openOnly: false, withRetracted };
  const { incidents } = await store.readIncidents(filter, '', 1000);
  return incidents
    .sort((a, b) => a.startedAtUs - b.startedAtUs || (a.alert.rule < b.alert.rule ? -1 : 1))
    .map(({ alert, startedAtUs, firedAtUs, resolvedAtUs, notified, retracted }) => {
      const fired = firedAtUs === startedAtUs ? '' : ` fired ${firedAtUs / 1e6}`;
      const end = resolvedAtUs === undefined ? '' : resolvedAtUs / 1e6;
      return `${alert.rule} ${startedAtUs / 1e6}..${end}${fired}${notified ? ' told' : ''}${retracted ? ' retracted' : ''}`;
    });
}

/** For tests: what a device was sent, in order: `firing hot 10`. */
export async function toldTo(store: Store, deviceId: number): Promise<string[]> {
  const alerts = await store.readAlerts(deviceId, 0, 1000);
  return alerts.map(({ rule, state, transitionAtUs, retracted }) => {
    return `${AlertState[state].toLowerCase()} ${rule} ${transitionAtUs / 1e6}${retracted ? ' retracted' : ''}`;
  });
}
