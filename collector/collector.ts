import { type Clock, type Scheduler, systemClock, systemScheduler } from '@tributary/core/clock/clock';
import { type Random, systemRandom } from '@tributary/core/clock/random';
import { type Address, formatAddress } from '@tributary/core/config/address';
import { loadRules } from '@tributary/core/rules/rule';
import { AlertServiceService } from '@tributary/proto/gen/tributary/v1/alert';
import { DeviceServiceService } from '@tributary/proto/gen/tributary/v1/device';
import { IncidentServiceService } from '@tributary/proto/gen/tributary/v1/incident';
import { QueryServiceService } from '@tributary/proto/gen/tributary/v1/query';
import type { Logger } from 'pino';
import { AlertHub } from './alerts/alert-hub.js';
import { alertService } from './alerts/alert-service.js';
import { frontLimitsOf } from './config/front-limits-of.js';
import { ingestLimitsOf } from './config/ingest-limits-of.js';
import type { CollectorConfig } from './config/schema.js';
import { type HealthServer, type Readiness, startHealthServer } from './health/health-server.js';
import { collectorMetrics } from './health/metrics.js';
import { incidentService } from './incidents/incident-service.js';
import { CommitPump } from './ingest/commit-pump.js';
import { IngestCore } from './ingest/ingest-core.js';
import { Notifier } from './notify/notifier.js';
import { queryService } from './query/query-service.js';
import { DeviceRules } from './rules/device-rules.js';
import { DerivedPipeline } from './rules/pipeline.js';
import { RulesFile } from './rules/rules-file.js';
import { type AuthenticatedCall, callerOf } from './server/caller.js';
import { collectorTls } from './server/collector-tls.js';
import { deviceService } from './server/device-service.js';
import { GrpcHost } from './server/grpc-host.js';
import { shutDown } from './server/shut-down.js';
import { TlsRenewal } from './server/tls-renewal.js';
import { uploadDefinition, uploadService } from './server/upload-service.js';
import { SqliteStore } from './store/sqlite/sqlite-store.js';
import type { StoreError } from './store/store-error.js';
import { Upkeep } from './upkeep/upkeep.js';

export interface CollectorDependencies {
  logger: Logger;
  clock?: Clock;
  scheduler?: Scheduler;
  random?: Random;
}

export interface Collector {
  /** Where devices call; with the port that was bound. */
  address: Address;
  /** Where probes and Prometheus ask. */
  healthAddress: Address;
  /** Reads the rules again; a file that is not in order leaves the rules in force, and says so in log, metrics and readiness. */
  reloadRules(): void;
  /** Reads the certificates again; throws and keeps the old ones when they are not in order. */
  reloadTls(): void;
  /** Resolves when the collector can be of no more use and should be stopped and started anew. */
  failed: Promise<Error>;
  /** Ends in order: within 25 s, whatever hangs. */
  stop(): Promise<void>;
}

/** Streams that take too long are looked for this often. */
const TICK_MS = 1000;

/** Starts a collector: when it resolves, devices can call. Rejects with a `TributaryError` or a `StoreError`. */
export async function startCollector(config: CollectorConfig, dependencies: CollectorDependencies): Promise<Collector> {
  const { logger, clock = systemClock, scheduler = systemScheduler, random = systemRandom } = dependencies;
  const trustDomain = config.trustDomain;
  const limits = ingestLimitsOf(config);
  const material = collectorTls(config.tls, trustDomain);
  const rules = config.rules === undefined ? [] : loadRules(config.rules);
  const bug = (error: unknown, doing: string) => logger.error({ err: error }, `${doing}: an error that nobody foresaw`);

  let damagesFound = 0;
  let cursorsAhead = 0;
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const store = await SqliteStore.open({
    path: config.store.sqlite.path,
    bytesMax: config.store.sqlite.maxSize,
    onDamage: (damage) => {
      damagesFound++;
      logger.error({ damage }, 'stored bytes were found changed; the disk is failing');
    },
    onFailure: (error) => fail(error),
  });
  const closings: (() => unknown)[] = [() => store.close()];
  try {
    const alerts = new AlertHub(store);
    const notifier = new Notifier({ config: config.notify, store, clock, scheduler, random, logger });
    const deviceRules = new DeviceRules(rules, {
      devicesMax: limits.devicesMax,
      changed: (deviceId, version) => alerts.rulesChanged(deviceId, version),
      tooLarge: (count) =>
        logger.error({ rules: count }, 'a device has more rules than it takes; the last are left out'),
    });
    const derived = new DerivedPipeline({
      store,
      rules,
      clock,
      scheduler,
      logger,
      wake: (deviceId) => {
        alerts.wake(deviceId);
        notifier.wake();
      },
    });
    const rulesFile = new RulesFile({
      path: config.rules,
      store,
      use: (others) => {
        derived.replaceRules(others);
        deviceRules.update(others).catch((error: unknown) => bug(error, 'telling devices of other rules'));
      },
      logger,
    });
    let running: IngestCore | undefined;
    let listening: GrpcHost | undefined;
    const metrics = collectorMetrics({
      core: () => running,
      derived: () => derived.counters,
      rulesFile: () => rulesFile,
      watchers: () => alerts.watchers,
      front: () => listening?.front,
      notifier: () => notifier,
      nowUs: () => clock.wallUs(),
      damagesFound: () => damagesFound,
      cursorsAhead: () => cursorsAhead,
    });
    let readiness: Readiness = { ready: false, why: 'starting' };
    // Before the replay, so that whoever probes sees that the process lives.
    const health: HealthServer = await startHealthServer({
      listen: config.health.listen,
      registry: metrics.registry,
      readiness: () => (readiness.ready && rulesFile.problem ? { ready: true, but: rulesFile.problem } : readiness),
    });
    closings.push(() => health.close());
    // What follows from committed data takes up where the last process stopped, before anything new comes.
    closings.push(() => derived.stop());
    // Before the replay, so that what it finds is kept for every receiver.
    closings.push(() => notifier.stop(0));
    await notifier.start();
    await derived.start();

    const storeChanged = (failure: StoreError | undefined) => {
      if (failure === undefined) logger.info('the store takes readings again');
      else logger.warn({ code: failure.code, err: failure.message }, 'the store refuses; devices keep their readings');
      if (readiness.ready || readiness.why.startsWith('the store')) {
        readiness =
          failure === undefined ? { ready: true } : { ready: false, why: `the store refuses: ${failure.code}` };
      }
    };
    const { observeCommitSeconds } = metrics;
    const pump = new CommitPump({ store, clock, observeSeconds: observeCommitSeconds, bug, storeChanged });
    const core = new IngestCore({ limits, random, port: pump, follower: derived });
    pump.drive(core);
    running = core;

    const identityOf = (call: AuthenticatedCall) => callerOf(call, trustDomain);
    const introduce: DerivedPipeline['introduce'] = (...device) => derived.introduce(...device);
    const host = new GrpcHost({
      front: { material, trustDomain, scheduler, ...frontLimitsOf(config) },
      messageBytesMax: limits.messageBytesMax,
      streamsPerConnectionMax: config.limits.streamsPerConnection,
      connectionAgeMsMax: config.limits.connectionAge,
      services: [
        {
          definition: DeviceServiceService,
          implementation: deviceService({ store, clock, core, limits, introduce, deviceRules, trustDomain, logger }),
        },
        { definition: uploadDefinition, implementation: uploadService({ core, clock, trustDomain, logger }) },
        {
          definition: AlertServiceService,
          implementation: alertService({
            store,
            hub: alerts,
            deviceRules,
            identityOf,
            clock,
            scheduler,
            logger,
            cursorAhead: () => cursorsAhead++,
          }),
        },
        {
          definition: IncidentServiceService,
          implementation: incidentService({
            store,
            identityOf,
            clock,
            logger,
            rules: derived,
            inhibitedBy: (incident, labels) => notifier.inhibitedBy(incident, labels),
            changed: (deviceId) => {
              if (deviceId !== undefined) alerts.wake(deviceId);
              notifier.wake();
            },
          }),
        },
        { definition: QueryServiceService, implementation: queryService({ store, identityOf, scheduler, logger }) },
      ],
    });

    listening = host;
    const port = await host.listen(config.listen);
    closings.push(() => host.close(0));
    readiness = { ready: true };
    const renewal = new TlsRenewal(material, {
      scheduler,
      logger,
      read: () => collectorTls(config.tls, trustDomain),
      use: (renewed) => host.front.update(renewed),
    });
    renewal.start();
    rulesFile.check(rules);
    const upkeep = new Upkeep({ store, clock, scheduler, logger, retention: config.retention });
    upkeep.start();
    const ticking = setInterval(() => {
      core.tick(clock.wallUs());
      pump.probe();
    }, TICK_MS);

    const address = { host: config.listen.host, port };
    logger.info({ listen: formatAddress(address), rules: rules.length }, 'the collector takes readings');
    let stopping: Promise<void> | undefined;
    const stop = async () => {
      readiness = { ready: false, why: 'stopping' };
      renewal.stop();
      await shutDown({ host, core, alerts, derived, notifier, upkeep, store, health, logger });
      clearInterval(ticking);
    };
    return {
      address,
      healthAddress: health.address,
      failed,
      reloadRules: () => rulesFile.reload(),
      reloadTls: () => renewal.reload(),
      stop: () => {
        stopping ??= stop();
        return stopping;
      },
    };
  } catch (error) {
    for (const close of closings.reverse()) await close();
    throw error;
  }
}
