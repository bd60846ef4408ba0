import type { Scheduler } from '@tributary/core/clock/clock';
import { type Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { ClaimedNotification } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { type PostableAlert, postableAlert } from './alertmanager-alert.js';
import { HttpPost, type PostOutcome } from './http-post.js';
import type { AlertmanagerConfig } from './notify-schema.js';
import type { Delivery, Receiver } from './receiver.js';
import { readReceiverFiles } from './receiver-files.js';

/** Alerts of one request, about 1 kB each. Prometheus sent 64 for many years. */
const BATCH_MAX = 64;
/**
 * What fires is said to end after so many intervals, and said anew at each: a collector that has died is found out, one that
 * is late is not (Prometheus, rules/alerting.go, `sendAlerts`, has the same four).
 */
const INTERVALS_UNTIL_ENDED = 4;
/** An end is repeated so long, for an Alertmanager that was away (`resolvedRetention` of Prometheus). */
const END_REPEATED_US = 15 * 60_000_000;
/** In search of the transition that an alert's labels come from. */
const ALERTS_PAGE = 500;

export interface AlertmanagerOptions {
  config: AlertmanagerConfig;
  link: string | undefined;
  scheduler: Scheduler;
  store: Pick<Store, 'listAlerts' | 'readIncidents'>;
}

/**
 * Prometheus Alertmanager's API v2. It wants to hear of what fires again and again, or takes it for resolved; so a
 * notification stays in the outbox until its incident is over, and its end for a while longer. Every member of a cluster
 * is told, and one that takes it is enough. Reads its files: throws a `TributaryError` with code `config`.
 */
export class AlertmanagerReceiver implements Receiver {
  readonly batchMax = BATCH_MAX;
  readonly deliverMsMax: number;
  readonly #options: AlertmanagerOptions;
  readonly #urls: URL[];
  readonly #headers: Record<string, string>;
  readonly #post: HttpPost;

  constructor(options: AlertmanagerOptions) {
    const { config, scheduler } = options;
    const { headers, tls } = readReceiverFiles(config);
    this.#options = options;
    this.#urls = config.urls.map((url) => new URL('api/v2/alerts', url.endsWith('/') ? url : `${url}/`));
    this.#headers = { ...headers, 'content-type': 'application/json', 'user-agent': 'tributary-collector' };
    this.#post = new HttpPost({ scheduler, timeoutMs: config.timeout, connectionsMax: config.urls.length, tls });
    // A batch that is refused is halved until the one is found: seven times on the way to it.
    this.deliverMsMax = 2 * config.timeout * (1 + Math.log2(BATCH_MAX));
  }

  get name(): string {
    return this.#options.config.name;
  }

  async deliver(notifications: readonly ClaimedNotification[], nowUs: number): Promise<Delivery[]> {
    const deliveries: Delivery[] = notifications.map(() => ({ outcome: 'told' }));
    const wanted: { at: number; alert: PostableAlert }[] = [];
    for (const [at, notification] of notifications.entries()) {
      try {
        const alert = await this.#alertOf(notification, nowUs);
        if (alert !== undefined) wanted.push({ at, alert });
      } catch (error) {
        deliveries[at] = { outcome: 'away', why: `the store does not answer: ${String(error)}` };
      }
    }
    if (wanted.length === 0) return deliveries;
    const alerts = wanted.map(({ alert }) => alert);
    const byUrl = await Promise.all(this.#urls.map((url) => this.#sendTo(url, alerts)));
    for (const [index, { at }] of wanted.entries()) deliveries[at] = bestOf(byUrl.map((answers) => answers[index]!));
    return deliveries;
  }

  againUs({ state, queuedUs }: ClaimedNotification, nowUs: number): number | undefined {
    if (state === AlertState.RESOLVED && nowUs - queuedUs >= END_REPEATED_US) return undefined;
    return nowUs + this.#options.config.resendInterval * 1000;
  }

  close(): void {
    this.#post.close();
  }

  /** Undefined when Alertmanager need not hear of it, because the same alert fires again already. */
  async #alertOf(notification: ClaimedNotification, nowUs: number): Promise<PostableAlert | undefined> {
    const { config, link } = this.#options;
    const { state, alert, incident } = notification;
    const { startedAtUs, tenant } = incident;
    if (state === AlertState.FIRING) {
      const endsAtUs = nowUs + INTERVALS_UNTIL_ENDED * config.resendInterval * 1000;
      return postableAlert(alert, alert, tenant, { startedAtUs, endsAtUs }, link);
    }
    if (await this.#firesAgain(notification)) return undefined;
    // Not later than now, or it would go on firing there until then.
    const endsAtUs = Math.min(alert.transitionAtUs, nowUs);
    return postableAlert(await this.#beginningOf(notification), alert, tenant, { startedAtUs, endsAtUs }, link);
  }

  /** Two incidents of one rule and series are one alert to Alertmanager: the end of the first would end the second. */
  async #firesAgain({ deviceId, incident, alert }: ClaimedNotification): Promise<boolean> {
    const { rule } = alert;
    const filter = { deviceId, seriesId: incident.seriesId, rule, openOnly: true, withRetracted: false };
    const { incidents } = await this.#options.store.readIncidents(filter, '', 1);
    return incidents.length > 0;
  }

  /** The transition that began the incident: its labels are the alert's identity, though the rule has others now. */
  async #beginningOf({ deviceId, incident, alert }: ClaimedNotification): Promise<Alert> {
    const range = { fromUs: incident.firedAtUs, untilUs: alert.transitionAtUs + 1 };
    let after = 0;
    do {
      const page = await this.#options.store.listAlerts({ deviceId, range, firingOnly: false }, after, ALERTS_PAGE);
      const found = page.alerts.find(
        ({ incidentId, state, late }) =>
          state === AlertState.FIRING && !late && Buffer.compare(incidentId, alert.incidentId) === 0,
      );
      if (found !== undefined) return found;
      after = page.next;
    } while (after !== 0);
    return alert;
  }

  /** Alertmanager takes what is right of a batch and answers 400 for the rest, without saying for which. */
  async #sendTo(url: URL, alerts: readonly PostableAlert[]): Promise<Delivery[]> {
    const delivery = deliveryOf(await this.#post.send(url, this.#headers, Buffer.from(JSON.stringify(alerts))), url);
    if (delivery.outcome !== 'refused' || alerts.length === 1) return alerts.map(() => delivery);
    const half = Math.ceil(alerts.length / 2);
    const first = await this.#sendTo(url, alerts.slice(0, half));
    return [...first, ...(await this.#sendTo(url, alerts.slice(half)))];
  }
}

function deliveryOf(outcome: PostOutcome, { host }: URL): Delivery {
  if (outcome.kind === 'failed') return { outcome: 'away', why: `${host}: ${outcome.why}` };
  const { status, text } = outcome;
  if (status >= 200 && status < 300) return { outcome: 'told' };
  const why = `${host} answers ${status}${text === '' ? '' : `: ${text.slice(0, 200)}`}`;
  if (status === 400) return { outcome: 'refused', why };
  return { outcome: 'away', why, waitMs: outcome.retryAfterMs };
}

/** One member that took it tells the others; when none did, one that is away may still take it. */
function bestOf(deliveries: readonly Delivery[]): Delivery {
  const [first] = deliveries;
  return (
    deliveries.find(({ outcome }) => outcome === 'told') ??
    deliveries.find(({ outcome }) => outcome === 'away') ??
    first!
  );
}
