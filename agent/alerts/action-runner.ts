import type { Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { failpoint } from '@tributary/core/failpoint/failpoint';
import { RateLimit } from '@tributary/core/log/rate-limit';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import { type IntentOutcome, type NewIntent, Standing, type StoredStatus } from '../buffer/alert-table.js';
import { type ActionPolicy, actionPolicy } from './action.js';
import {
  ActionCore,
  type ActionEffect,
  type ActionEvent,
  type ActionReport,
  type Moment,
  type Plan,
  type Task,
} from './action-core.js';
import { RESOLVED, stateName } from './alert-state.js';
import { type Performance, type PerformDeps, performer } from './perform-action.js';
import type { AlertActionConfig } from './schema.js';

/** A command that ends by itself soon after the agent was told to stop is not cut off. */
const stopPatienceMs = 4_000;

export interface ActionRunnerDeps extends PerformDeps {
  scheduler: Scheduler;
  log: Logger;
  /** The best that is known of the time, microseconds since the Unix epoch. */
  wallUs(): number;
  /** What became of an intent, and the status that it has set, to be written down. */
  settled(ticket: number, standing: IntentOutcome['standing'], reason: string, status: StoredStatus | undefined): void;
}

/** The actions at work: carries the core's effects out with processes, ports and one timer. */
export class ActionRunner {
  readonly #deps: ActionRunnerDeps;
  readonly #core: ActionCore;
  readonly #performers = new Map<string, (task: Task) => Performance>();
  readonly #running = new Map<number, Performance>();
  /** What a performance said at its end, until the core has settled it. */
  readonly #ends = new Map<number, { fields: Record<string, unknown>; status: StoredStatus | undefined }>();
  readonly #limit = new RateLimit();
  #timer: { atMs: number; cancel: () => void } | undefined;
  #idle = () => {};

  constructor(configs: readonly AlertActionConfig[], deps: ActionRunnerDeps) {
    this.#deps = deps;
    const policies: ActionPolicy[] = [];
    for (const config of configs) {
      const policy = actionPolicy(config);
      if (policy === undefined) continue;
      this.#performers.set(policy.name, performer(config, deps));
      policies.push(withOwnIncidents(policy, config, deps));
    }
    this.#core = new ActionCore(policies);
  }

  get standing(): NewIntent['standing'] {
    return this.#core.standing;
  }

  get report(): ActionReport[] {
    return this.#core.report();
  }

  plan(alert: Alert): Plan[] {
    return this.#core.plan(alert, this.#now());
  }

  /** As `ActionCore.forgetBefore`, of now. */
  forget(): void {
    this.#core.forgetBefore(this.#now().ms);
  }

  dispatch(event: ActionEvent): void {
    for (const effect of this.#core.step(event, this.#now())) {
      if (effect.type === 'begin') this.#begin(effect.task);
      else this.#settle(effect);
    }
    this.#arm();
    if (this.#core.isIdle) this.#idle();
  }

  /** Begins nothing any more. Resolves when nothing is under way: after some seconds commands are told to end. */
  async stop(): Promise<void> {
    const idle = new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
    this.dispatch({ type: 'stop' });
    const cancel = this.#deps.scheduler.setTimer(stopPatienceMs, () => {
      for (const performance of this.#running.values()) performance.stop();
    });
    await idle;
    cancel();
  }

  #now(): Moment {
    return { ms: this.#deps.scheduler.nowMs(), wallUs: this.#deps.wallUs() };
  }

  #begin(task: Task): void {
    failpoint('action-begin');
    const performance = this.#performers.get(task.action)!(task);
    this.#running.set(task.ticket, performance);
    performance.ended
      .catch((thrown: unknown) => ({
        reason: 'broken',
        fields: { details: TributaryError.from(thrown).message },
        status: undefined,
      }))
      .then(({ reason, fields, status }) => {
        failpoint('action-end');
        this.#running.delete(task.ticket);
        this.#ends.set(task.ticket, { fields, status });
        const outcome = reason === '' ? 'done' : 'failed';
        this.dispatch({ type: 'ended', ticket: task.ticket, outcome, reason });
      });
  }

  #settle({ ticket, action, alert, standing, reason }: Extract<ActionEffect, { type: 'settle' }>): void {
    const end = ticket === undefined ? undefined : this.#ends.get(ticket);
    if (ticket !== undefined) {
      this.#ends.delete(ticket);
      this.#deps.settled(ticket, standing, reason, end?.status);
    }
    const { log, scheduler } = this.#deps;
    const admission = this.#limit.admit(`${action} ${standing} ${reason}`, scheduler.nowMs());
    if (!admission.report) return;
    const fields = {
      action,
      ...(reason === '' ? {} : { reason }),
      ...(alert === undefined ? {} : identityOf(alert)),
      ...end?.fields,
      ...(admission.suppressed > 0 ? { suppressed: admission.suppressed } : {}),
    };
    if (standing === Standing.done) log.info(fields, 'an alert action was done');
    else if (standing === Standing.failed) log.warn(fields, 'an alert action failed');
    else if (standing === Standing.kept) log.info(fields, 'an alert action waits for the next start');
    else if (reason === 'late' || reason === 'retracted') log.info(fields, 'an alert action was skipped');
    else log.warn(fields, 'an alert action was skipped');
  }

  #arm(): void {
    const atMs = this.#core.wakeAtMs;
    if (this.#timer?.atMs === atMs) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (atMs === Number.POSITIVE_INFINITY) return;
    const { scheduler } = this.#deps;
    const cancel = scheduler.setTimer(Math.max(0, Math.ceil(atMs - scheduler.nowMs())), () => {
      this.#timer = undefined;
      this.dispatch({ type: 'tick' });
    });
    this.#timer = { atMs, cancel };
  }
}

/** A status lets go of an incident that it shows whatever its matcher says: labels may have changed since. */
function withOwnIncidents(policy: ActionPolicy, { status }: AlertActionConfig, { board }: PerformDeps): ActionPolicy {
  if (status === undefined) return policy;
  const { matches } = policy;
  const isShown = (alert: Alert) => alert.state === RESOLVED && board.shows(status.name, alert.incidentId);
  return { ...policy, matches: (alert) => matches(alert) || isShown(alert) };
}

function identityOf(alert: Alert): Record<string, unknown> {
  const { number, rule, state, incidentId } = alert;
  return { alert: number, rule, state: stateName(state), incident: Buffer.from(incidentId).toString('hex') };
}
