import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { ClaimedNotification } from '../store/incidents.js';
import { HttpPost, type PostOutcome } from './http-post.js';
import { incidentHex } from './incident-link.js';
import type { WebhookConfig } from './notify-schema.js';
import type { Delivery, Receiver } from './receiver.js';
import { readReceiverFiles } from './receiver-files.js';
import { webhookBody } from './webhook-body.js';
import { signatureHeaders } from './webhook-signature.js';

/** Requests at a time to one receiver: enough for a burst, and no load on what may be a small script. */
const REQUESTS_MAX = 4;
/** Two turns of them: what is decided now is sent while it is still true. */
const BATCH_MAX = 2 * REQUESTS_MAX;

/**
 * Statuses that speak of this body and not of the receiver: it goes on with others. All other failures, also those that a
 * wrong URL or secret causes, concern every notification alike.
 */
const ABOUT_THE_BODY = [400, 409, 413, 415, 422];

export interface WebhookOptions {
  config: WebhookConfig;
  link: string | undefined;
  clock: Clock;
  scheduler: Scheduler;
}

/** Posts each transition by itself, signed. Reads its files: throws a `TributaryError` with code `config`. */
export class WebhookReceiver implements Receiver {
  readonly batchMax = BATCH_MAX;
  readonly deliverMsMax: number;
  readonly #options: WebhookOptions;
  readonly #url: URL;
  readonly #secrets: Buffer[];
  readonly #headers: Record<string, string>;
  readonly #post: HttpPost;

  constructor(options: WebhookOptions) {
    const { config, scheduler } = options;
    const { signing, headers, tls } = readReceiverFiles(config);
    this.#options = options;
    this.#url = new URL(config.url);
    this.#secrets = signing;
    this.#headers = {
      ...config.headers,
      ...headers,
      'content-type': 'application/json',
      'user-agent': 'tributary-collector',
    };
    this.#post = new HttpPost({ scheduler, timeoutMs: config.timeout, connectionsMax: REQUESTS_MAX, tls });
    // Twice for a connection that was closed while it lay unused.
    this.deliverMsMax = 2 * config.timeout * (BATCH_MAX / REQUESTS_MAX);
  }

  get name(): string {
    return this.#options.config.name;
  }

  async deliver(notifications: readonly ClaimedNotification[]): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    let next = 0;
    const work = async () => {
      for (let at = next++; at < notifications.length; at = next++) {
        deliveries[at] = deliveryOf(await this.#send(notifications[at]!));
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_MAX }, work));
    return deliveries;
  }

  againUs(): undefined {}

  close(): void {
    this.#post.close();
  }

  #send({ alert, incident }: ClaimedNotification): Promise<PostOutcome> {
    const { clock, link } = this.#options;
    const body = Buffer.from(JSON.stringify(webhookBody(alert, incident.tenant, link)));
    const signature = signatureHeaders(this.#secrets, webhookId(alert), clock.wallUs(), body);
    return this.#post.send(this.#url, { ...this.#headers, ...signature }, body);
  }
}

/** The idempotency key. No dot may stand in it, because dots part what is signed. */
function webhookId({ incidentId, state }: { incidentId: Uint8Array; state: AlertState }): string {
  return `${incidentHex(incidentId)}_${state === AlertState.RESOLVED ? 'resolved' : 'firing'}`;
}

/** What the specification makes of an answer: only 2xx is success, 410 is for ever. */
function deliveryOf(outcome: PostOutcome): Delivery {
  if (outcome.kind === 'failed') return { outcome: 'away', why: outcome.why };
  const { status, text } = outcome;
  if (status >= 200 && status < 300) return { outcome: 'told' };
  const why = `it answers ${status}${text === '' ? '' : `: ${text.slice(0, 200)}`}`;
  if (status === 410) return { outcome: 'gone', why };
  if (ABOUT_THE_BODY.includes(status)) return { outcome: 'refused', why };
  return { outcome: 'away', why, waitMs: outcome.retryAfterMs };
}
