import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { type IntentOutcome, type NewIntent, Standing } from '../buffer/alert-table.js';
import type { ActionPolicy } from './action.js';
import { FIRING, RESOLVED } from './alert-state.js';
import { TokenBucket } from './token-bucket.js';

/**
 * What waits for one action. Whatever piles up behind a command that hangs is soon older than anybody wants to act on; the
 * oldest goes, since the newest says how things stand.
 */
export const WAITING_MAX = 32;

/** Why nothing was done about an alert. */
export type SkipReason =
  /** It came late, or says that there was no incident: that moves nothing. */
  | 'late'
  | 'retracted'
  /** Older than `maxActionAge`. */
  | 'old'
  /** From before this buffer remembers alerts: it may have been done. */
  | 'unsure'
  /** Too many waited. */
  | 'full'
  /** It may have been begun before a crash. */
  | 'crash'
  /** The configuration has no such action any more. */
  | 'changed'
  /** What was stored of the alert cannot be read, or was too long to be stored. */
  | 'unreadable';

/** The moment of a step: monotonic milliseconds, and the best that is known of the wall clock. */
export interface Moment {
  ms: number;
  wallUs: number;
}

/** An action that is to be done about an alert, whose intent is on the disk. */
export interface Task {
  /** Never used twice in a run of the agent. */
  ticket: number;
  action: string;
  alert: Alert;
  /** It may have been done before, by an agent that crashed. */
  isRepeated: boolean;
}

/** What is to be done about an alert, before it is stored. */
export interface Plan {
  action: string;
  /** Undefined for what is to be done. */
  skip: SkipReason | undefined;
}

export interface Recalled {
  ticket: number;
  action: string;
  standing: NewIntent['standing'];
  /** Undefined where it cannot be read. */
  alert: Alert | undefined;
}

export type ActionEvent =
  /** The alert and the intents are on the disk; the tickets are those of what is to be done, in the order of the plan. */
  | { type: 'stored'; alert: Alert; plans: readonly Plan[]; tickets: readonly number[] }
  /** Intents that an earlier start of the agent has left, in order. */
  | { type: 'recalled'; intents: readonly Recalled[] }
  | { type: 'ended'; ticket: number; outcome: 'done' | 'failed'; reason: string }
  /** Time has passed: sent when `wakeAtMs` is due. */
  | { type: 'tick' }
  /** Nothing is begun any more; what waits is left for the next start. */
  | { type: 'stop' };

export type ActionEffect =
  | { type: 'begin'; task: Task }
  /** Told to a person; written to the disk where there is a ticket. */
  | {
      type: 'settle';
      ticket: number | undefined;
      action: string;
      alert: Alert | undefined;
      standing: IntentOutcome['standing'];
      reason: string;
    };

export interface ActionCounters {
  done: number;
  failed: number;
  /** Those that failed, by reason: an exit code, a signal, or a word. */
  failures: Record<string, number>;
  skipped: Partial<Record<SkipReason, number>>;
  /** Had to wait for the rate limit. */
  held: number;
}

/** What an action has done since the start, and does now. */
export interface ActionReport extends ActionCounters {
  name: string;
  kind: ActionPolicy['kind'];
  waiting: number;
  running: number;
}

interface Queue {
  policy: ActionPolicy;
  waiting: (Task & { isHeld: boolean })[];
  running: Map<number, Task>;
  bucket: TokenBucket | undefined;
  counters: ActionCounters;
  wakeAtMs: number;
}

/**
 * What is done about alerts, and when: intents that are on the disk go in, what is to begin comes out. Each action has its own
 * queue, in the order of its alerts; one that hangs holds up nobody else. It touches no clock, disk or process.
 */
export class ActionCore {
  readonly #queues: Map<string, Queue>;
  /** Alerts from before are not acted on, monotonic: the buffer does not remember what was done. */
  #rememberedSinceMs = Number.NEGATIVE_INFINITY;
  #isStopping = false;

  constructor(policies: readonly ActionPolicy[]) {
    this.#queues = new Map(
      policies.map((policy) => {
        const bucket = policy.rate === undefined ? undefined : new TokenBucket(policy.rate);
        const counters = { done: 0, failed: 0, failures: {}, skipped: {}, held: 0 };
        const wakeAtMs = Number.POSITIVE_INFINITY;
        return [policy.name, { policy, waiting: [], running: new Map(), bucket, counters, wakeAtMs }];
      }),
    );
  }

  /** When a `tick` is due, monotonic; Infinity for never. */
  get wakeAtMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#queues.values()].map(({ wakeAtMs }) => wakeAtMs));
  }

  /** Whether nothing is under way. */
  get isIdle(): boolean {
    return [...this.#queues.values()].every(({ running }) => running.size === 0);
  }

  /** How intents of now are stored: when the agent stops, they are certainly not begun. */
  get standing(): NewIntent['standing'] {
    return this.#isStopping ? Standing.kept : Standing.open;
  }

  report(): ActionReport[] {
    return [...this.#queues.values()].map(({ policy: { name, kind }, waiting, running, counters }) => ({
      name,
      kind,
      waiting: waiting.length,
      running: running.size,
      ...counters,
    }));
  }

  /** The buffer is new, or has lost something: whether what came before was done, nobody can say. */
  forgetBefore(ms: number): void {
    this.#rememberedSinceMs = ms;
  }

  /** What would be done about an alert if it is new. Nothing changes. */
  plan(alert: Alert, now: Moment): Plan[] {
    if (alert.state !== FIRING && alert.state !== RESOLVED) return [];
    const plans: Plan[] = [];
    for (const { policy } of this.#queues.values()) {
      if (policy.matches(alert)) plans.push({ action: policy.name, skip: this.#skip(policy, alert, now) });
    }
    return plans;
  }

  #skip(policy: ActionPolicy, alert: Alert, now: Moment): SkipReason | undefined {
    // A status takes back what it shows for an incident, whatever ended it.
    if (policy.kind === 'status') return alert.late && alert.state === FIRING ? 'late' : undefined;
    if (alert.retracted && (alert.late || !policy.takesRetracted)) return 'retracted';
    if (alert.late) return 'late';
    if (isOld(policy, alert, now)) return 'old';
    const sinceUs = now.wallUs - (now.ms - this.#rememberedSinceMs) * 1000;
    return alert.transitionAtUs < sinceUs ? 'unsure' : undefined;
  }

  step(event: ActionEvent, now: Moment): ActionEffect[] {
    const effects: ActionEffect[] = [];
    switch (event.type) {
      case 'stored':
        this.#stored(event, effects);
        break;
      case 'recalled':
        for (const intent of event.intents) this.#recalled(intent, effects);
        break;
      case 'ended':
        this.#ended(event, effects);
        break;
      case 'tick':
        break;
      case 'stop':
        this.#stop(effects);
        break;
    }
    if (!this.#isStopping) for (const queue of this.#queues.values()) this.#begin(queue, now, effects);
    return effects;
  }

  #stored({ alert, plans, tickets }: Extract<ActionEvent, { type: 'stored' }>, effects: ActionEffect[]): void {
    let at = 0;
    for (const { action, skip } of plans) {
      if (skip !== undefined) this.#settle(effects, { ticket: undefined, action, alert }, Standing.skipped, skip);
      else this.#enqueue({ ticket: tickets[at++]!, action, alert, isRepeated: false }, effects);
    }
  }

  #recalled({ ticket, action, standing, alert }: Recalled, effects: ActionEffect[]): void {
    const policy = this.#queues.get(action)?.policy;
    const skip = (reason: SkipReason) => this.#settle(effects, { ticket, action, alert }, Standing.skipped, reason);
    const isBegun = standing === Standing.open && policy?.kind !== 'status';
    if (policy === undefined) skip('changed');
    else if (isBegun && policy.onCrash === 'skip') skip('crash');
    else if (alert === undefined) skip('unreadable');
    else this.#enqueue({ ticket, action, alert, isRepeated: isBegun }, effects);
  }

  #enqueue(task: Task, effects: ActionEffect[]): void {
    const queue = this.#queues.get(task.action)!;
    // Its intent was stored as one that is kept.
    if (this.#isStopping) return;
    queue.waiting.push({ ...task, isHeld: false });
    if (queue.waiting.length > WAITING_MAX) this.#settle(effects, queue.waiting.shift()!, Standing.skipped, 'full');
  }

  #ended({ ticket, outcome, reason }: Extract<ActionEvent, { type: 'ended' }>, effects: ActionEffect[]): void {
    for (const { running } of this.#queues.values()) {
      const task = running.get(ticket);
      if (task === undefined) continue;
      running.delete(ticket);
      this.#settle(effects, task, Standing[outcome], reason);
    }
  }

  #stop(effects: ActionEffect[]): void {
    this.#isStopping = true;
    for (const queue of this.#queues.values()) {
      queue.wakeAtMs = Number.POSITIVE_INFINITY;
      for (const task of queue.waiting.splice(0)) this.#settle(effects, task, Standing.kept, 'stopped');
    }
  }

  #begin(queue: Queue, now: Moment, effects: ActionEffect[]): void {
    const { policy, waiting, running, bucket } = queue;
    queue.wakeAtMs = Number.POSITIVE_INFINITY;
    for (let task = waiting[0]; task !== undefined; task = waiting[0]) {
      if (isOld(policy, task.alert, now)) {
        waiting.shift();
        this.#settle(effects, task, Standing.skipped, 'old');
        continue;
      }
      if (running.size >= policy.concurrentMax || isUnderWay(running, task.alert)) return;
      if (bucket !== undefined && !bucket.take(now.ms)) {
        if (!task.isHeld) queue.counters.held++;
        task.isHeld = true;
        queue.wakeAtMs = bucket.readyAtMs(now.ms);
        return;
      }
      waiting.shift();
      const { isHeld: _, ...begun } = task;
      running.set(task.ticket, begun);
      effects.push({ type: 'begin', task: begun });
    }
  }

  #settle(
    effects: ActionEffect[],
    { ticket, action, alert }: { ticket: number | undefined; action: string; alert: Alert | undefined },
    standing: IntentOutcome['standing'],
    reason: string,
  ): void {
    const counters = this.#queues.get(action)?.counters;
    if (counters !== undefined) {
      if (standing === Standing.done) counters.done++;
      if (standing === Standing.failed) {
        counters.failed++;
        counters.failures[reason] = (counters.failures[reason] ?? 0) + 1;
      }
      if (standing === Standing.skipped) {
        const skip = reason as SkipReason;
        counters.skipped[skip] = (counters.skipped[skip] ?? 0) + 1;
      }
    }
    effects.push({ type: 'settle', ticket, action, alert, standing, reason });
  }
}

function isOld({ maxAgeMs }: ActionPolicy, { transitionAtUs }: Alert, { wallUs }: Moment): boolean {
  return wallUs - transitionAtUs > maxAgeMs * 1000;
}

/** A later transition of an incident must not overtake the one before it. */
function isUnderWay(running: ReadonlyMap<number, Task>, { incidentId }: Alert): boolean {
  for (const { alert } of running.values()) if (Buffer.compare(alert.incidentId, incidentId) === 0) return true;
  return false;
}
