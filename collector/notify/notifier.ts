import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import type { Logger } from 'pino';
import { type AlertLabels, compileMatchers } from '../alerts/matchers.js';
import type { ReceiverState, StoredIncident } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { AlertmanagerReceiver } from './alertmanager-receiver.js';
import { incidentHex } from './incident-link.js';
import { Inhibition } from './inhibition.js';
import type { NotifyCounters } from './notify-counters.js';
import type { NotifyConfig, ReceiverConfig } from './notify-schema.js';
import type { Receiver } from './receiver.js';
import { ReceiverLoop } from './receiver-loop.js';
import { SituationReader } from './situation.js';
import { WebhookReceiver } from './webhook-receiver.js';

/** The store is told again whom there is: see {@link FORGET_US}. */
const KEEP_MS = 3_600_000;
/** A receiver that no collector has named for a day has gone from the configuration, and what waits for it with it. */
const FORGET_US = 86_400_000_000;
/** The outbox may have been unreachable at the start. */
const KEEP_RETRY_MS = 10_000;

export interface NotifierOptions {
  config: NotifyConfig;
  store: Store;
  clock: Clock;
  scheduler: Scheduler;
  random: Random;
  logger: Logger;
}

/**
 * Tells people of incidents: a loop for each receiver over its own part of the outbox, which the store fills in the
 * transaction that keeps the transition. Several processes may do so over one store.
 */
export class Notifier {
  readonly #options: NotifierOptions;
  readonly #situation: SituationReader;
  readonly #loops: ReceiverLoop[];
  #cancelKeep: () => void = () => {};
  #isStopped = false;

  /** Reads the files that receivers name. Throws a `TributaryError` with code `config` that names file and remedy. */
  constructor(options: NotifierOptions) {
    const { config, store, clock, scheduler, random, logger } = options;
    const inhibition = new Inhibition(config.inhibit);
    this.#options = options;
    const situation = new SituationReader(store, inhibition, scheduler);
    this.#situation = situation;
    this.#loops = config.receivers.map((receiver) => {
      warnOfPlainText(receiver, logger);
      return new ReceiverLoop({
        receiver: receiverOf(receiver, options),
        store,
        rules: {
          matches: compileMatchers(receiver.match),
          sendResolved: receiver.sendResolved,
          giveUpAfterUs: receiver.giveUpAfter * 1000,
          inhibitWaitUs: config.inhibitWait * 1000,
          canBeHidden: (labels) => inhibition.isTarget(labels),
        },
        situation,
        clock,
        scheduler,
        random,
        logger,
      });
    });
  }

  /** What happened since the start, by receiver. */
  get counters(): ReadonlyMap<string, NotifyCounters> {
    return new Map(this.#loops.map((loop) => [loop.name, loop.counters]));
  }

  /** What waits in the store for the receivers that this process knows. */
  async waiting(): Promise<ReceiverState[]> {
    const names = new Set(this.#loops.map(({ name }) => name));
    return (await this.#options.store.receiverStates()).filter(({ receiver }) => names.has(receiver));
  }

  /** Ids of the incidents that keep this one from being notified now. */
  async inhibitedBy({ deviceId, incidentId }: StoredIncident, labels: AlertLabels): Promise<Uint8Array[]> {
    const hiding = await this.#situation.hiding(deviceId, { incident: incidentHex(incidentId), labels });
    return hiding.map((incident) => Uint8Array.from(Buffer.from(incident, 'hex')));
  }

  /** Names the receivers to the store, which from then on keeps transitions for them, and begins. */
  async start(): Promise<void> {
    await this.#keep();
    for (const loop of this.#loops) loop.start();
  }

  /** Something may be due: an incident has begun or ended, a silence has ended. */
  wake(): void {
    for (const loop of this.#loops) loop.wake();
  }

  /** What is under way may take so long, in milliseconds; what is not told then is told by the next process. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true;
    this.#cancelKeep();
    await Promise.all(this.#loops.map((loop) => loop.stop(graceMs)));
  }

  async #keep(): Promise<void> {
    const { store, clock, scheduler, logger } = this.#options;
    const nowUs = clock.wallUs();
    let nextMs = KEEP_MS;
    try {
      await store.keepReceivers(
        this.#loops.map(({ name }) => name),
        nowUs,
        nowUs - FORGET_US,
      );
    } catch (error) {
      nextMs = KEEP_RETRY_MS;
      logger.warn({ err: error }, 'the store was not told who is to be notified; it is tried again');
    }
    if (!this.#isStopped) this.#cancelKeep = scheduler.setTimer(nextMs, () => void this.#keep());
  }
}

function receiverOf(config: ReceiverConfig, { config: { link }, clock, scheduler, store }: NotifierOptions): Receiver {
  return config.kind === 'webhook'
    ? new WebhookReceiver({ config, link, clock, scheduler })
    : new AlertmanagerReceiver({ config, link, scheduler, store });
}

/** A signature does not hide what a body says, and a password over plain HTTP is everybody's. */
function warnOfPlainText(config: ReceiverConfig, logger: Logger): void {
  const urls = config.kind === 'webhook' ? [config.url] : config.urls;
  for (const url of urls) {
    const { protocol, hostname, host } = new URL(url);
    const isLocal = hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');
    if (protocol === 'http:' && !isLocal) {
      logger.warn(
        { receiver: config.name, host },
        'notifications travel unencrypted; write https where the receiver has it',
      );
    }
  }
}
