import { Counter, Gauge, type Registry } from 'prom-client';
import type { ReceiverState } from '../store/incidents.js';
import type { Notifier } from './notifier.js';
import type { NotifyCounters } from './notify-counters.js';

/** What is read of a notifier; undefined before the collector has got so far. */
export interface NotifyMetricsOptions {
  registry: Registry;
  notifier: () => Pick<Notifier, 'counters' | 'waiting'> | undefined;
  nowUs: () => number;
}

/** Prometheus metrics about notifications, `tributary_collector_notifications_*`, by receiver. */
export function addNotifyMetrics({ registry, notifier, nowUs }: NotifyMetricsOptions): void {
  const registers = [registry];
  const byReceiver = (add: (receiver: string, counters: NotifyCounters) => void) => {
    for (const [receiver, counters] of notifier()?.counters ?? []) add(receiver, counters);
  };
  const byReason = (name: string, help: string, read: (counters: NotifyCounters) => ReadonlyMap<string, number>) => {
    new Counter({
      name: `tributary_collector_notifications_${name}`,
      help,
      labelNames: ['receiver', 'reason'],
      registers,
      collect() {
        this.reset();
        byReceiver((receiver, counters) => {
          for (const [reason, value] of read(counters)) this.inc({ receiver, reason }, value);
        });
      },
    });
  };
  new Counter({
    name: 'tributary_collector_notifications_sent_total',
    help: 'Notifications that the receiver took, repetitions included.',
    labelNames: ['receiver'],
    registers,
    collect() {
      this.reset();
      byReceiver((receiver, { sent }) => this.inc({ receiver }, sent));
    },
  });
  byReason('failed_total', 'Attempts that failed; they are repeated.', ({ failed }) => failed);
  byReason('dropped_total', 'Notifications that were given up.', ({ dropped }) => dropped);
  byReason('held_total', 'Times that a notification was held back.', ({ held }) => held);
  byReason('skipped_total', 'Transitions that the receiver was not to be told of.', ({ skipped }) => skipped);
  new Gauge({
    name: 'tributary_collector_notifications_receiver_gone',
    help: '1 when the receiver has said that it wants no more notifications (410 Gone).',
    labelNames: ['receiver'],
    registers,
    collect() {
      byReceiver((receiver, { gone }) => this.set({ receiver }, gone ? 1 : 0));
    },
  });
  // One reading of the store for the three of one scrape. A store that is away must not take other metrics with it.
  let reading: Promise<readonly ReceiverState[]> | undefined;
  const states = () => {
    reading ??= (notifier()?.waiting() ?? Promise.resolve([]))
      .catch(() => [])
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  const gauge = (name: string, help: string, read: (state: ReceiverState) => number) => {
    new Gauge({
      name: `tributary_collector_notifications_${name}`,
      help,
      labelNames: ['receiver'],
      registers,
      async collect() {
        const known = await states();
        this.reset();
        for (const state of known) this.set({ receiver: state.receiver }, read(state));
      },
    });
  };
  gauge(
    'waiting',
    'Transitions in the outbox; those of incidents that go on stay there until these are over.',
    ({ length }) => length,
  );
  gauge('oldest_seconds', 'Age of the oldest notification that is still to be told; 0 for none.', ({ oldestUs }) =>
    oldestUs === undefined ? 0 : Math.max(0, (nowUs() - oldestUs) / 1_000_000),
  );
  gauge(
    'overflowed',
    'Notifications that were given up because too many waited for the receiver, since it is known.',
    ({ dropped }) => dropped,
  );
}
