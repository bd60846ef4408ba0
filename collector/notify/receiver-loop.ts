import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { formatDurationMs } from '@tributary/core/config/duration';
import { RateLimit } from '@tributary/core/log/rate-limit';
import { Backoff, defaultBackoff, nextDelayMs } from '@tributary/core/retry/backoff';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type { Logger } from 'pino';
import { alertLabels } from '../alerts/matchers.js';
import type { ClaimedNotification, IncidentNote, Settlement } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { type Decision, decide, type Rules } from './decide.js';
import { incidentHex } from './incident-link.js';
import { count, newNotifyCounters } from './notify-counters.js';
import type { Delivery, Receiver } from './receiver.js';
import type { Situation, SituationReader } from './situation.js';

/** What other processes put into the outbox, or what a wake has missed, is found after this. */
const POLL_MS = 5000;
/** A store that is away is asked again after this. */
const STORE_RETRY_MS = 5000;
/** A lease outlives the longest delivery by this, for the store and the event loop. */
const LEASE_MARGIN_MS = 10_000;
/** Notifications that were held back and whose age is counted from then, at the most, 100 B each. */
const SINCE_MAX = 20_000;

export type NotifyStore = Pick<Store, 'claimNotifications' | 'incidentEvents' | 'settleNotification'>;

export interface ReceiverLoopOptions {
  receiver: Receiver;
  store: NotifyStore;
  rules: Rules;
  situation: SituationReader;
  clock: Clock;
  scheduler: Scheduler;
  random: Random;
  logger: Logger;
}

/**
 * Takes what is due for one receiver out of the outbox, decides, delivers, and writes down what became of it; one round
 * after another, so that a slow receiver holds up nobody but itself. What fails is due again later; while the receiver is
 * away it is asked with one notification at a time, ever more rarely.
 */
export class ReceiverLoop {
  readonly counters = newNotifyCounters();
  readonly #options: ReceiverLoopOptions;
  readonly #away: Backoff;
  readonly #says = new RateLimit();
  /** Since when what was held back could have been taken. */
  readonly #sinceUs = new Map<string, number>();
  #pausedUntilMs = 0;
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;
  #isClosed = false;
  #isWoken = false;
  #endSleep: (() => void) | undefined;

  constructor(options: ReceiverLoopOptions) {
    this.#options = options;
    this.#away = new Backoff(options.random, defaultBackoff);
  }

  get name(): string {
    return this.#options.receiver.name;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Something may be due that was not before. */
  wake(): void {
    this.#isWoken = true;
    this.#endSleep?.();
  }

  /** Takes nothing new; what is under way may take so long, in milliseconds, and is then due again for another process. */
  async stop(graceMs: number): Promise<void> {
    const { scheduler, receiver } = this.#options;
    this.#isStopped = true;
    this.#endSleep?.();
    const cancel = scheduler.setTimer(graceMs, () => {
      this.#isClosed = true;
      receiver.close();
    });
    await this.#running;
    cancel();
    receiver.close();
  }

  async #run(): Promise<void> {
    const { clock, scheduler } = this.#options;
    while (!this.#isStopped && !this.counters.gone) {
      const pauseMs = this.#pausedUntilMs - scheduler.nowMs();
      if (pauseMs > 0) {
        await this.#sleep(pauseMs, true);
        continue;
      }
      this.#isWoken = false;
      try {
        const nextDueUs = await this.#round();
        if (nextDueUs === 'more') continue;
        const untilDueMs = nextDueUs === undefined ? POLL_MS : (nextDueUs - clock.wallUs()) / 1000;
        await this.#sleep(Math.min(Math.max(untilDueMs, 1), POLL_MS), false);
      } catch (error) {
        this.#say('warn', { err: error }, 'the outbox of notifications is out of reach; it is tried again');
        await this.#sleep(STORE_RETRY_MS, true);
      }
    }
  }

  /** Answers when the next one is due, or that there may be more now. Rejects when the store does not answer. */
  async #round(): Promise<number | undefined | 'more'> {
    const { receiver, store, situation: reader, clock } = this.#options;
    // A receiver that was away a moment ago gets one: more would time out together.
    const limit = this.#away.attempt > 0 ? 1 : receiver.batchMax;
    const leaseUs = (receiver.deliverMsMax + LEASE_MARGIN_MS) * 1000;
    const claimed = await store.claimNotifications(this.name, clock.wallUs(), leaseUs, limit);
    const { notifications, nextDueUs } = claimed;
    if (notifications.length === 0) return nextDueUs;
    const situation = await reader.read(notifications, clock.wallUs());
    const wanted: ClaimedNotification[] = [];
    for (const notification of notifications) {
      const decision = await this.#decide(notification, situation);
      if (decision.decision === 'send') wanted.push(notification);
      else await this.#settle(notification, this.#consequence(notification, decision));
    }
    if (wanted.length > 0) await this.#deliver(wanted);
    return 'more';
  }

  async #decide(notification: ClaimedNotification, situation: Situation): Promise<Decision> {
    const { clock, rules } = this.#options;
    const { alert, incident, queuedUs } = notification;
    const subject = { incident: incidentHex(notification.incidentId), labels: alertLabels(alert, incident.tenant) };
    const nowUs = clock.wallUs();
    const key = keyOf(notification);
    const isOld = nowUs - (this.#sinceUs.get(key) ?? queuedUs) > rules.giveUpAfterUs;
    const isOver = incident.resolvedAtUs !== undefined;
    const wasHeld = (isOld || isOver) && (await this.#wasHeld(notification));
    // Held back by the process before this one: it has not had its time yet.
    if (isOld && wasHeld && notification.attempts === 0) this.#remember(key, nowUs);
    const sinceUs = this.#sinceUs.get(key) ?? queuedUs;
    const decision = decide(notification, rules, { situation, subject, nowUs, sinceUs, wasHeld });
    if (decision.decision === 'hold') this.#remember(key, decision.untilUs);
    return decision;
  }

  /** Whether the history says that a silence or an inhibition kept this receiver from the beginning. */
  async #wasHeld({ state, told, incidentId }: ClaimedNotification): Promise<boolean> {
    if (state !== AlertState.FIRING || told) return false;
    const events = await this.#options.store.incidentEvents(incidentId);
    return events.some(
      ({ kind, text }) =>
        (kind === IncidentEventKind.SILENCED || kind === IncidentEventKind.INHIBITED) &&
        text.startsWith(`${this.name}: `),
    );
  }

  #consequence(notification: ClaimedNotification, decision: Exclude<Decision, { decision: 'send' }>): Settlement {
    const { counters } = this;
    switch (decision.decision) {
      case 'done':
        return { outcome: 'told' };
      case 'skip':
        count(counters.skipped, decision.reason);
        return { outcome: 'skipped' };
      case 'drop':
        count(counters.dropped, decision.reason);
        this.#say(
          'error',
          { incident: incidentHex(notification.incidentId) },
          'a notification is given up; nobody took it in time',
        );
        return {
          outcome: 'skipped',
          note: this.#note(IncidentEventKind.COMMENTED, 'not told: nobody took it in time'),
        };
      case 'hold': {
        const { reason, by, untilUs } = decision;
        if (reason === 'waiting') return { outcome: 'held', atUs: untilUs };
        count(counters.held, reason);
        const kind = reason === 'silenced' ? IncidentEventKind.SILENCED : IncidentEventKind.INHIBITED;
        return { outcome: 'held', atUs: untilUs, note: this.#note(kind, by.slice(0, 5).join(', ')) };
      }
    }
  }

  async #deliver(wanted: readonly ClaimedNotification[]): Promise<void> {
    const { scheduler } = this.#options;
    const deliveries = await this.#attempt(wanted);
    const away = deliveries.find((delivery) => delivery.outcome === 'away');
    if (away !== undefined && !this.#isClosed) {
      const delayMs = this.#away.failed(away.waitMs);
      this.#pausedUntilMs = scheduler.nowMs() + delayMs;
      const again = formatDurationMs(Math.ceil(delayMs / 1000) * 1000);
      this.#say('warn', { why: away.why }, `a notification failed; it is tried again in ${again}`);
    } else if (deliveries.some(({ outcome }) => outcome === 'told')) {
      if (this.#away.attempt > 0) this.#say('info', {}, 'the receiver takes notifications again');
      this.#away.succeeded();
    }
    for (const [at, notification] of wanted.entries()) {
      await this.#settle(notification, this.#outcomeOf(notification, deliveries[at]!));
    }
  }

  /** A bug must not send the same batch again and again: it counts as refused. */
  async #attempt(wanted: readonly ClaimedNotification[]): Promise<Delivery[]> {
    const { receiver, clock } = this.#options;
    try {
      return await receiver.deliver(wanted, clock.wallUs());
    } catch (error) {
      this.#say('error', { err: error }, 'notifying: an error that nobody foresaw');
      return wanted.map(() => ({ outcome: 'refused', why: String(error) }));
    }
  }

  #outcomeOf(notification: ClaimedNotification, delivery: Delivery): Settlement {
    const { receiver, clock, scheduler, random } = this.#options;
    const { counters } = this;
    const nowUs = clock.wallUs();
    if (delivery.outcome === 'told') {
      counters.sent++;
      const state = notification.state === AlertState.RESOLVED ? 'resolved' : 'firing';
      const againUs = receiver.againUs(notification, nowUs);
      const note = this.#note(IncidentEventKind.NOTIFIED, state);
      return { outcome: 'told', note, ...(againUs === undefined ? {} : { againUs }) };
    }
    // Cut off by this side: the next process does it.
    if (this.#isClosed) return { outcome: 'held', atUs: nowUs };
    count(counters.failed, delivery.outcome);
    const ownDelayMs = nextDelayMs(notification.attempts, random);
    if (delivery.outcome === 'gone') {
      counters.gone = true;
      this.#say(
        'warn',
        { why: delivery.why },
        'the receiver wants no more notifications; it gets none until the next start',
      );
    } else if (delivery.outcome === 'refused') {
      this.#say('warn', { why: delivery.why }, 'a notification was refused; it is tried again later');
    }
    const delayMs = Math.max(ownDelayMs, this.#pausedUntilMs - scheduler.nowMs());
    return { outcome: 'failed', atUs: nowUs + Math.ceil(delayMs * 1000) };
  }

  async #settle(notification: ClaimedNotification, settlement: Settlement): Promise<void> {
    const { store, clock } = this.#options;
    if (settlement.outcome !== 'held' && settlement.outcome !== 'failed') this.#sinceUs.delete(keyOf(notification));
    await store.settleNotification(notification, settlement, clock.wallUs());
  }

  #note(kind: IncidentNote['kind'], text: string): IncidentNote {
    return { kind, atUs: this.#options.clock.wallUs(), by: '', text: `${this.name}: ${text}` };
  }

  #remember(key: string, sinceUs: number): void {
    this.#sinceUs.delete(key);
    this.#sinceUs.set(key, sinceUs);
    if (this.#sinceUs.size > SINCE_MAX) {
      const [oldest] = this.#sinceUs.keys();
      if (oldest !== undefined) this.#sinceUs.delete(oldest);
    }
  }

  #say(level: 'info' | 'warn' | 'error', details: object, message: string): void {
    const { logger, scheduler } = this.#options;
    const admission = this.#says.admit(message.replace(/ in \S+$/, ''), scheduler.nowMs());
    if (!admission.report) return;
    const { suppressed } = admission;
    logger[level]({ receiver: this.name, ...details, ...(suppressed > 0 ? { suppressed } : {}) }, message);
  }

  /** Until the time is over, the loop is stopped, or, unless `isPause`, woken. */
  #sleep(delayMs: number, isPause: boolean): Promise<void> {
    if (this.#isStopped || (this.#isWoken && !isPause)) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        this.#endSleep = undefined;
        resolve();
      };
      const cancel = this.#options.scheduler.setTimer(delayMs, end);
      this.#endSleep = () => {
        if (!isPause || this.#isStopped) end();
      };
    });
  }
}

function keyOf({ incidentId, state }: ClaimedNotification): string {
  return `${incidentHex(incidentId)} ${state}`;
}
