import { DeferralReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { IngestCore } from '../ingest/ingest-core.js';
import { addNotifyMetrics, type NotifyMetricsOptions } from '../notify/notify-metrics.js';
import type { TlsFront } from '../server/tls-front.js';

/** From a commit on a fast disk to one on a sick SD card. */
const COMMIT_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** What follows from committed data, in numbers. */
export interface DerivedCounters {
  devicesBehind: number;
  devicesLost: number;
  devicesDirty: number;
  historyPasses: number;
  historyPassesFailed: number;
  rules: number;
  ruleInstances: number;
  ruleInstancesRefused: number;
  rollupRowsWaiting: number;
  alertsWaiting: number;
  alertsStored: number;
  readingsPostponedByRules: number;
  readingsFromFuture: number;
  batchesUndecodable: number;
  batchesFailed: number;
}

export interface RulesFileCounters {
  /** What is wrong with the file that was read last; undefined when its rules are in force. */
  problem: string | undefined;
  reloads: number;
  reloadsFailed: number;
  unmatched: number;
}

/** What the metrics are read from; undefined before the collector has got so far. */
export interface MetricSources {
  core: () => IngestCore | undefined;
  derived: () => DerivedCounters | undefined;
  rulesFile: () => RulesFileCounters | undefined;
  watchers: () => number;
  front: () => TlsFront | undefined;
  notifier: NotifyMetricsOptions['notifier'];
  nowUs: () => number;
  /** How often a device's cursor was above every alert's number. */
  cursorsAhead: () => number;
  /** How often stored bytes were found changed. */
  damagesFound: () => number;
}

export interface CollectorMetrics {
  registry: Registry;
  /** To be called with each commit's duration. */
  observeCommitSeconds: (seconds: number) => void;
}

/** Prometheus metrics, `tributary_collector_*`. Ingest counts in plain numbers; they are read when somebody asks. */
export function collectorMetrics({
  core,
  derived,
  rulesFile,
  watchers,
  front,
  notifier,
  nowUs,
  damagesFound,
  cursorsAhead,
}: MetricSources): CollectorMetrics {
  const registry = new Registry();
  const total = (name: string, help: string, read: () => number) => {
    new Counter({
      name: `tributary_collector_${name}`,
      help,
      registers: [registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  const counter = (name: string, help: string, read: (core: IngestCore) => number) => {
    total(name, help, () => {
      const running = core();
      return running === undefined ? 0 : read(running);
    });
  };
  const gauge = (name: string, help: string, read: () => number) => {
    new Gauge({
      name: `tributary_collector_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const byReason = <R extends number>(
    name: string,
    help: string,
    reasonName: (reason: R) => string | undefined,
    read: (core: IngestCore) => ReadonlyMap<R, number>,
  ) => {
    new Counter({
      name: `tributary_collector_${name}`,
      help,
      labelNames: ['reason'],
      registers: [registry],
      collect() {
        this.reset();
        const running = core();
        if (running === undefined) return;
        for (const [reason, value] of read(running)) {
          this.inc({ reason: (reasonName(reason) ?? 'unknown').toLowerCase() }, value);
        }
      },
    });
  };
  new Counter({
    name: 'tributary_collector_registrations_refused_total',
    help: 'Registrations that were refused, by reason.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset();
      const refused = core()?.counters.registrationsRefused ?? [];
      for (const [reason, value] of refused) this.inc({ reason }, value);
    },
  });
  const frontByReason = (name: string, help: string, read: (front: TlsFront) => ReadonlyMap<string, number>) => {
    new Counter({
      name: `tributary_collector_${name}`,
      help,
      labelNames: ['reason'],
      registers: [registry],
      collect() {
        this.reset();
        const listening = front();
        if (listening !== undefined) for (const [reason, value] of read(listening)) this.inc({ reason }, value);
      },
    });
  };
  gauge('connections_open', 'Connections that are open or shake hands.', () => front()?.connections ?? 0);
  gauge('connections_waiting', 'Connections that wait for their turn.', () => front()?.admission.waiting ?? 0);
  total('connections_admitted_total', 'Connections that were let in.', () => front()?.admission.admitted ?? 0);
  frontByReason(
    'connections_refused_total',
    'Connections that were reset before TLS, by reason; their devices come again.',
    ({ admission }) => admission.refused,
  );
  frontByReason('tls_failures_total', 'Handshakes that failed, by reason.', ({ failures }) => failures);
  total(
    'connections_replaced_total',
    'Connections that were closed because their device opened more than it may.',
    () => front()?.replaced ?? 0,
  );
  counter('readings_stored_total', 'Readings that were stored.', ({ counters }) => counters.readingsStored);
  counter('items_stored_total', 'Items that were stored.', ({ counters }) => counters.itemsStored);
  counter('item_bytes_stored_total', 'Bytes of the bodies of stored items.', ({ counters }) => counters.bytesStored);
  counter(
    'duplicates_total',
    'Items that came again and were not stored again.',
    ({ counters }) => counters.duplicates,
  );
  counter('forks_total', 'Items whose sequence is stored with other bytes.', ({ counters }) => counters.forks);
  counter(
    'future_batches_total',
    'Stored batches with event times in the future.',
    ({ counters }) => counters.fromFuture,
  );
  counter('streams_total', 'Upload streams that were opened.', ({ counters }) => counters.streams);
  counter('registrations_total', 'Registrations that were answered.', ({ counters }) => counters.registrations);
  counter('commits_total', 'Group commits that succeeded.', ({ counters }) => counters.commits);
  counter('commits_failed_total', 'Group commits that the store refused.', ({ counters }) => counters.commitsFailed);
  byReason(
    'rejected_total',
    'Items that will never be taken, by reason.',
    (reason: RejectionReason) => RejectionReason[reason],
    ({ counters }) => counters.rejected,
  );
  byReason(
    'later_total',
    'Items and streams that were deferred, by reason.',
    (reason: DeferralReason) => DeferralReason[reason],
    ({ counters }) => counters.later,
  );
  gauge('in_flight_bytes', 'Bytes that were received and are not committed.', () => core()?.inFlightBytes ?? 0);
  gauge('devices_registered', 'Devices whose registration is in memory.', () => core()?.devices ?? 0);
  gauge('streams_open', 'Upload streams that are open.', () => core()?.counters.streamsOpen ?? 0);
  gauge('alert_watches_open', 'Devices that wait for alerts.', watchers);
  gauge('alerts_waiting', 'Alerts that are not stored yet.', () => derived()?.alertsWaiting ?? 0);
  total('alerts_stored_total', 'Transitions of incidents that were stored.', () => derived()?.alertsStored ?? 0);
  total(
    'rule_readings_postponed_total',
    'Readings that came out of order, and were left to a pass through history.',
    () => derived()?.readingsPostponedByRules ?? 0,
  );
  gauge('rules', 'Rules in force that the collector evaluates.', () => derived()?.rules ?? 0);
  gauge('rules_file_refused', '1 while the file of rules is not in order, and earlier rules are in force.', () =>
    rulesFile()?.problem === undefined ? 0 : 1,
  );
  gauge('rules_unmatched', 'Rules in force that match nothing that is known.', () => rulesFile()?.unmatched ?? 0);
  total('rules_reloads_total', 'Times that other rules were put in force.', () => rulesFile()?.reloads ?? 0);
  total(
    'rules_reloads_failed_total',
    'Times that the file of rules was not in order and the rules stayed.',
    () => rulesFile()?.reloadsFailed ?? 0,
  );
  gauge(
    'rule_instances',
    'Series and devices that rules watch, counted for each rule.',
    () => derived()?.ruleInstances ?? 0,
  );
  total(
    'rule_instances_refused_total',
    'Series and devices that a rule should watch, and for which there was no room.',
    () => derived()?.ruleInstancesRefused ?? 0,
  );
  gauge('devices_dirty', 'Devices whose history is still to be judged anew.', () => derived()?.devicesDirty ?? 0);
  total(
    'history_passes_total',
    'Times that the history of a device was judged anew.',
    () => derived()?.historyPasses ?? 0,
  );
  total(
    'history_passes_failed_total',
    'Times that judging history anew failed, and was put off.',
    () => derived()?.historyPassesFailed ?? 0,
  );
  total(
    'devices_lost_total',
    'Times that another collector process had digested commits of a device that this one had in memory.',
    () => derived()?.devicesLost ?? 0,
  );
  total(
    'rule_readings_from_future_total',
    'Readings that rules were not shown because their time is ahead of the clock.',
    () => derived()?.readingsFromFuture ?? 0,
  );
  total(
    'batches_undecodable_total',
    'Stored batches that rollups and rules lack because this version cannot decode them.',
    () => derived()?.batchesUndecodable ?? 0,
  );
  total(
    'batches_failed_total',
    'Stored batches that rollups and rules lack because of a bug; the log has it.',
    () => derived()?.batchesFailed ?? 0,
  );
  total(
    'alert_cursors_ahead_total',
    'Watches from beyond the newest alert: the store was put back to an earlier state.',
    cursorsAhead,
  );
  total('damages_found_total', 'Times that stored bytes were found changed.', damagesFound);
  gauge('rollup_rows_waiting', 'Rollup rows that are not saved yet.', () => derived()?.rollupRowsWaiting ?? 0);
  gauge('devices_behind', 'Devices whose commits are read back from the store.', () => derived()?.devicesBehind ?? 0);
  gauge('resident_memory_bytes', 'Resident memory of this process.', () => process.memoryUsage.rss());
  addNotifyMetrics({ registry, notifier, nowUs });
  const commits = new Histogram({
    name: 'tributary_collector_commit_seconds',
    help: 'How long the store took for a group commit.',
    buckets: COMMIT_SECONDS,
    registers: [registry],
  });
  return { registry, observeCommitSeconds: (seconds) => commits.observe(seconds) };
}
