import { Counter, Gauge, Registry } from 'prom-client';
import type { AgentStatus } from './agent-status.js';

/** One number of a status, or one for each value of a label. */
interface Metric {
  name: string;
  help: string;
  kind: 'counter' | 'gauge';
  label?: string;
  value: (status: AgentStatus) => number | Record<string, number> | undefined;
}

/** Numbers by two labels. */
interface WideMetric {
  name: string;
  help: string;
  kind: 'counter' | 'gauge';
  labels: readonly [string, string];
  values: (status: AgentStatus) => readonly (readonly [string, string, number])[];
}

/** States that the uplink has; each is a series that is 1 or 0. */
const uplinkStates = [
  'stopped',
  'waiting',
  'connecting',
  'looking',
  'registering',
  'comparing',
  'opening-epoch',
  'holding',
  'idle',
  'streaming',
];

const metrics: readonly Metric[] = [
  {
    name: 'readings_total',
    help: 'Readings produced: taken into batches, or declared because memory had no room for them.',
    kind: 'counter',
    value: ({ readings }) => readings.taken,
  },
  {
    name: 'readings_dropped_total',
    help: 'Readings or lines that were not taken, by reason.',
    kind: 'counter',
    label: 'reason',
    value: ({ readings }) => readings.dropped,
  },
  {
    name: 'readings_pending',
    help: 'Readings in memory that are not in the buffer yet.',
    kind: 'gauge',
    value: ({ readings }) => readings.pending,
  },
  { name: 'batches_total', help: 'Batches closed.', kind: 'counter', value: ({ batches }) => batches.closed },
  {
    name: 'batch_bytes_total',
    help: 'Bytes of encoded batches.',
    kind: 'counter',
    value: ({ batches }) => batches.bytes,
  },
  { name: 'buffer_items', help: 'Items that wait in the buffer.', kind: 'gauge', value: ({ buffer }) => buffer.items },
  {
    name: 'buffer_readings',
    help: 'Readings that wait in the buffer.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.readings,
  },
  { name: 'buffer_bytes', help: 'Bytes that wait in the buffer.', kind: 'gauge', value: ({ buffer }) => buffer.bytes },
  {
    name: 'buffer_quota_bytes',
    help: 'Bytes that the buffer may take.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.quotaBytes,
  },
  {
    name: 'readings_evicted_total',
    help: 'Readings that were evicted from a full buffer, in this epoch.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.readingsEvicted,
  },
  {
    name: 'readings_thinned_total',
    help: 'Readings that were left out when the oldest batches of a full buffer were thinned.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.readingsThinned,
  },
  {
    name: 'items_quarantined',
    help: 'Items that the collector has refused for good.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.itemsQuarantined,
  },
  {
    name: 'buffer_written_bytes_total',
    help: 'Bytes that the buffer has told the disk to write.',
    kind: 'counter',
    value: ({ buffer }) => buffer.bytesWritten,
  },
  {
    name: 'buffer_written_block_bytes_total',
    help: 'Bytes of whole blocks that the file system wrote for the buffer.',
    kind: 'counter',
    value: ({ buffer }) => buffer.blockBytesWritten,
  },
  {
    name: 'buffer_written_bytes_per_reading',
    help: 'Bytes that reach the flash for each reading, since the start.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.wear?.bytesPerReading,
  },
  {
    name: 'buffer_written_bytes_per_day',
    help: 'Bytes that reach the flash in a day, at the rate since the start.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.wear?.bytesPerDay,
  },
  {
    name: 'buffer_card_life_years',
    help: 'How long new flash of the configured endurance lasts at the rate since the start.',
    kind: 'gauge',
    value: ({ buffer }) => buffer.wear?.projectedYears,
  },
  {
    name: 'buffer_usable',
    help: 'Whether the buffer can be used now; readings wait in memory while it is 0.',
    kind: 'gauge',
    value: ({ buffer }) => (buffer.trouble === undefined ? 1 : 0),
  },
  {
    name: 'buffer_standby',
    help: 'Whether readings wait in memory and are sent from there, because the disk has taken none for a while.',
    kind: 'gauge',
    value: ({ buffer }) => (buffer.standby === true ? 1 : 0),
  },
  {
    name: 'buffer_append_failures_total',
    help: 'Appends to the buffer that failed and were tried again.',
    kind: 'counter',
    value: ({ buffer }) => buffer.appendFailures,
  },
  {
    name: 'uplink_state',
    help: 'What the uplink does now: 1 for its state, 0 for the others.',
    kind: 'gauge',
    label: 'state',
    value: ({ uplink }) => Object.fromEntries(uplinkStates.map((state) => [state, state === uplink.state ? 1 : 0])),
  },
  {
    name: 'uplink_connects_total',
    help: 'Connections to a collector that got ready.',
    kind: 'counter',
    value: ({ uplink }) => uplink.connects,
  },
  {
    name: 'uplink_connect_failures_total',
    help: 'Connections to a collector that did not get ready.',
    kind: 'counter',
    value: ({ uplink }) => uplink.connectFailures,
  },
  {
    name: 'uplink_registrations_total',
    help: 'Registrations that were answered.',
    kind: 'counter',
    value: ({ uplink }) => uplink.registrations,
  },
  {
    name: 'uplink_streams_total',
    help: 'Upload streams by how they ended.',
    kind: 'counter',
    label: 'outcome',
    value: ({ uplink }) => uplink.streams,
  },
  {
    name: 'items_acknowledged_total',
    help: 'Items that the collector called durable.',
    kind: 'counter',
    value: ({ uplink }) => uplink.itemsAcknowledged,
  },
  {
    name: 'items_rejected_total',
    help: 'Items that were refused for good.',
    kind: 'counter',
    value: ({ uplink }) => uplink.itemsRejected,
  },
  {
    name: 'epochs_opened_total',
    help: 'Epochs opened because a copy of the buffer was known.',
    kind: 'counter',
    value: ({ uplink }) => uplink.epochsOpened,
  },
  {
    name: 'items_forgotten_total',
    help: 'Items that the collector had called durable and does not have any more.',
    kind: 'counter',
    value: ({ uplink }) => uplink.itemsForgotten,
  },
  {
    name: 'backlog_drain_readings_per_second',
    help: 'Readings acknowledged minus readings produced, over the last minute; negative while the backlog grows.',
    kind: 'gauge',
    value: ({ uplink }) => uplink.backlog.readingsPerSecond,
  },
  {
    name: 'backlog_eta_seconds',
    help: 'Time until nothing waits at the present rate; absent while the backlog grows.',
    kind: 'gauge',
    value: ({ uplink }) => uplink.backlog.etaSeconds,
  },
  {
    name: 'last_success_age_seconds',
    help: 'Time since the last answer of the collector that made progress.',
    kind: 'gauge',
    value: ({ uplink }) => uplink.lastSuccessAgeSeconds,
  },
  {
    name: 'alerts_received_total',
    help: 'Transitions of alerts received and stored.',
    kind: 'counter',
    value: ({ alerts }) => alerts.received,
  },
  {
    name: 'rules',
    help: "The device's own rules that run.",
    kind: 'gauge',
    value: ({ rules }) => rules?.rules,
  },
  {
    name: 'rules_refused',
    help: 'Rules for this device that this agent cannot judge.',
    kind: 'gauge',
    value: ({ rules }) => rules?.refused.length,
  },
  {
    name: 'rules_in_force',
    help: 'Whether the rules that the collector sent last are those that run.',
    kind: 'gauge',
    value: ({ rules }) => (rules === undefined ? undefined : rules.trouble === undefined ? 1 : 0),
  },
  {
    name: 'rule_series',
    help: "Rules at work, a rule and a series each, by state; 'unjudged' are those that there is no room for.",
    kind: 'gauge',
    label: 'state',
    value: ({ rules }) => {
      if (rules === undefined) return {};
      const { watched, pending, firing, unwatched } = rules;
      return { inactive: watched - pending - firing, pending, firing, unjudged: unwatched };
    },
  },
  {
    name: 'rule_transitions_total',
    help: "Beginnings and ends of incidents that the device's own rules have found.",
    kind: 'counter',
    value: ({ rules }) => rules?.transitions,
  },
  {
    name: 'rule_transitions_kept_total',
    help: 'Of those, the ones that were not sent because the collector does not take them.',
    kind: 'counter',
    value: ({ rules }) => rules?.transitionsKept,
  },
  {
    name: 'rule_alerts_waiting',
    help: 'Of those, the ones that were not handed to the actions yet.',
    kind: 'gauge',
    value: ({ rules }) => rules?.alertsWaiting,
  },
  {
    name: 'alerts_repeated_total',
    help: 'Transitions of alerts that came again, and were not acted on again.',
    kind: 'counter',
    value: ({ alerts }) => alerts.repeated,
  },
  {
    name: 'alert_actions_held_total',
    help: 'Alert actions that had to wait for their rate limit.',
    kind: 'counter',
    label: 'action',
    value: ({ alerts }) => Object.fromEntries(alerts.actions.map(({ name, held }) => [name, held])),
  },
  {
    name: 'alert_actions_waiting',
    help: 'Alert actions that wait for their turn.',
    kind: 'gauge',
    label: 'action',
    value: ({ alerts }) => Object.fromEntries(alerts.actions.map(({ name, waiting }) => [name, waiting])),
  },
  {
    name: 'alert_intents_damaged_total',
    help: 'Alert actions of an earlier start that were skipped because their rows in the buffer are damaged.',
    kind: 'counter',
    value: ({ alerts }) => alerts.damagedIntents,
  },
  {
    name: 'alert_status_incidents',
    help: 'Incidents that go on, of each status that alerts set.',
    kind: 'gauge',
    label: 'status',
    value: ({ alerts }) => Object.fromEntries(alerts.statuses.map(({ name, incidents }) => [name, incidents])),
  },
  {
    name: 'source_running',
    help: 'Whether a source yields readings now.',
    kind: 'gauge',
    label: 'source',
    value: ({ sources }) => Object.fromEntries(sources.map(({ name, state }) => [name, state === 'running' ? 1 : 0])),
  },
  {
    name: 'resident_memory_bytes',
    help: 'Resident memory of the agent.',
    kind: 'gauge',
    value: ({ rssBytes }) => rssBytes,
  },
];

const wideMetrics: readonly WideMetric[] = [
  {
    name: 'alert_actions_total',
    help: 'Alert actions by what became of them.',
    kind: 'counter',
    labels: ['action', 'outcome'],
    values: ({ alerts }) =>
      alerts.actions.flatMap(({ name, done, failed, skipped }) => [
        [name, 'done', done] as const,
        [name, 'failed', failed] as const,
        [name, 'skipped', Object.values(skipped).reduce((sum, count) => sum + count, 0)] as const,
      ]),
  },
  {
    name: 'alert_actions_failed_total',
    help: 'Alert actions that failed, by reason: exit-N, a signal, or a word.',
    kind: 'counter',
    labels: ['action', 'reason'],
    values: ({ alerts }) =>
      alerts.actions.flatMap(({ name, failures }) =>
        Object.entries(failures).map(([reason, count]) => [name, reason, count] as const),
      ),
  },
  {
    name: 'alert_actions_skipped_total',
    help: 'Alert actions that were not done, by reason.',
    kind: 'counter',
    labels: ['action', 'reason'],
    values: ({ alerts }) =>
      alerts.actions.flatMap(({ name, skipped }) =>
        Object.entries(skipped).map(([reason, count]) => [name, reason, count] as const),
      ),
  },
  {
    name: 'alert_status_value',
    help: 'Always 1; the label says what a status is.',
    kind: 'gauge',
    labels: ['status', 'value'],
    values: ({ alerts }) => alerts.statuses.map(({ name, value }) => [name, value, 1] as const),
  },
];

/** Turns statuses into the text of a Prometheus scrape. */
export class AgentMetrics {
  readonly #registry = new Registry();
  readonly #series = metrics.map((metric) => {
    const options = {
      name: `tributary_agent_${metric.name}`,
      help: metric.help,
      registers: [this.#registry],
      labelNames: metric.label === undefined ? [] : [metric.label],
    };
    const series = metric.kind === 'counter' ? new Counter(options) : new Gauge(options);
    return { metric, series };
  });

  readonly #wide = wideMetrics.map((metric) => {
    const options = {
      name: `tributary_agent_${metric.name}`,
      help: metric.help,
      registers: [this.#registry],
      labelNames: metric.labels,
    };
    const series = metric.kind === 'counter' ? new Counter(options) : new Gauge(options);
    return { metric, series };
  });

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text for one status. */
  text(status: AgentStatus): Promise<string> {
    for (const { metric, series } of this.#series) {
      const { label } = metric;
      const value = metric.value(status);
      series.reset();
      if (typeof value === 'number') series.inc(value);
      else if (value === undefined) series.remove();
      else if (label !== undefined) {
        for (const [name, count] of Object.entries(value)) series.inc({ [label]: name }, count);
      }
    }
    for (const { metric, series } of this.#wide) {
      const [first, second] = metric.labels;
      series.reset();
      for (const [one, other, count] of metric.values(status)) series.inc({ [first]: one, [second]: other }, count);
    }
    return this.#registry.metrics();
  }
}
