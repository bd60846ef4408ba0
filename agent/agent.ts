import { randomBytes } from 'node:crypto';
import { type Clock, type Scheduler, systemClock, systemScheduler } from '@tributary/core/clock/clock';
import { type Random, systemRandom } from '@tributary/core/clock/random';
import { formatAddress } from '@tributary/core/config/address';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { formatSpiffeId } from '@tributary/core/identity/spiffe-id';
import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import type { Logger } from 'pino';
import { AlertDesk } from './alerts/alert-desk.js';
import { DEFAULT_BATCH_BOUNDS } from './batching/batch-bounds.js';
import { Batcher, PENDING_SEGMENT } from './batching/batcher.js';
import type { Buffer as EdgeBuffer } from './buffer/buffer.js';
import { SqliteBuffer } from './buffer/sqlite-buffer.js';
import type { AgentConfig } from './config/schema.js';
import type { AgentStatus } from './health/agent-status.js';
import { flashWear } from './health/flash-wear.js';
import { AgentCatalogue } from './runtime/agent-catalogue.js';
import { deviceAttributes } from './runtime/attributes.js';
import { BatchTimer } from './runtime/batch-timer.js';
import { BatchWriter } from './runtime/batch-writer.js';
import { bufferOptions } from './runtime/buffer-options.js';
import { CrashWindow } from './runtime/crash-window.js';
import { whenTheDiskTakes } from './runtime/disk-patience.js';
import { DropCounter } from './runtime/drop-counter.js';
import { EventualBuffer } from './runtime/eventual-buffer.js';
import { seriesProtection } from './runtime/full-policy.js';
import { type HealthServers, serveHealth } from './runtime/health-servers.js';
import { type HostTime, hostTime } from './runtime/host-time.js';
import { reportOpening } from './runtime/opening-report.js';
import { repeat } from './runtime/repeat.js';
import { SegmentKeeper } from './runtime/segment-keeper.js';
import { SourceRunner } from './runtime/source-runner.js';
import type { Upstream } from './runtime/upstream.js';
import { agentVersion } from './runtime/version.js';
import { Watermark } from './runtime/watermark.js';
import { within } from './runtime/within.js';
import type { LinkFactory } from './uplink/uplink-link.js';

/** What an agent is given; everything has a default that is the real thing. */
export interface AgentDeps {
  log: Logger;
  clock?: Clock;
  /** What the machine tells about its clocks. */
  host?: HostTime;
  scheduler?: Scheduler;
  random?: Random;
  /** A buffer that is being opened already; the agent closes it. */
  buffer?: Promise<EdgeBuffer>;
  connect?: LinkFactory;
}

/** An agent at work. */
export interface Agent {
  status(): Promise<AgentStatus>;
  /** Where metrics are served; undefined while they are not. */
  readonly metricsPort: number | undefined;
  /** Everything that talks to the collector is loaded and has begun; before, readings are only buffered. */
  readonly upstreamStarted: Promise<void>;
  /** Stops in order: sources, batches, buffer, one last upload. Resolves within 20 s, whatever hangs. */
  stop(): Promise<void>;
}

/** How often the clocks are looked at while nothing is written; else it is with each batch. */
const clockLookMs = 10_000;

/** What each part of a stop may take; together well within the 25 s after which service managers kill. */
const stopSourcesMs = 3000;
const stopAppendMs = 5000;
/** Beside the two: a command may end by itself, and is ended then. */
const stopActionsMs = 7000;
const stopMarginMs = 500;
const stopUploadMs = 5000;
const stopBufferMs = 5000;

/**
 * Starts an agent: resolves when the sources are running and the buffer is open. On a disk that refuses it is opened later,
 * and readings wait in memory until then. Rejects with a `TributaryError` when the buffer is another agent's or a newer
 * one's, or the certificates cannot be used; nothing is left running then.
 */
export async function startAgent(config: AgentConfig, deps: AgentDeps): Promise<Agent> {
  const { log, clock = systemClock, scheduler = systemScheduler, random = systemRandom } = deps;
  const startedMs = scheduler.nowMs();
  const startedAt = new Date(clock.wallUs() / 1000).toISOString();
  const version = agentVersion();
  const open = () => SqliteBuffer.open(bufferOptions(config));
  const opening = deps.buffer ?? open();
  const tls = await tlsOrClose(config, opening);
  const device = formatSpiffeId(tls.identity);

  let upstream: Upstream | undefined;

  // The buffer, and what is declared in it.
  const disk = { scheduler, random, log };
  const buffer = await EventualBuffer.open(opening, open, disk);
  const { identity } = buffer;
  const catalogue = new AgentCatalogue(identity, {
    buffer,
    scheduler,
    random,
    log,
    changed: () => {
      upstream?.uplink.catalogue(catalogue);
      writer.pump();
    },
  });
  const host = deps.host ?? hostTime();
  const segments = new SegmentKeeper({ catalogue, clock, host, log, line: () => buffer.identity.line });

  // What is done about alerts, whoever judged them.
  const desk = new AlertDesk(config.alerts, {
    buffer,
    scheduler,
    random,
    log,
    wallUs: () => segments.wallUs(),
    environment: process.env,
    write: (source, bytes, timeoutMs) => sources.write(source, bytes, timeoutMs),
  });

  // From sources through batches into the buffer.
  const drops = new DropCounter();
  const watermark = new Watermark(identity.highestSequence);
  const batcher = new Batcher(
    {
      registry: catalogue,
      nowUs: () => clock.monotonicUs(),
      segmentId: () => (segments.isKnown ? segments.id : PENDING_SEGMENT),
      isProtected: seriesProtection(config.buffer.protect),
      drop: (reason, readings) => {
        drops.count(reason, readings);
        if (reason === 'memory') writer.overflowed(readings);
      },
      wake: () => timer.wake(),
    },
    {
      ...DEFAULT_BATCH_BOUNDS,
      readings: config.batching.maxReadings,
      bytes: config.batching.maxBytes,
      ageUs: config.batching.maxAgeOffline * 1000,
      pendingReadings: Math.max(DEFAULT_BATCH_BOUNDS.pendingReadings, 8 * config.batching.maxReadings),
    },
  );
  const writer = new BatchWriter({
    batcher,
    buffer,
    scheduler,
    random,
    log,
    nowUs: () => clock.monotonicUs(),
    crashWindow: new CrashWindow(batcher, config.batching.maxReadings),
    segment: () => (segments.isKnown ? segments.id : undefined),
    prepare: () => {
      // So that a sleep costs no more than the batch that was open.
      segments.look();
      return catalogue.restore();
    },
    appended: (sequences, oldest) => {
      for (const [at, sequence] of sequences.entries()) watermark.appended(sequence, oldest[at]);
      const highest = sequences.at(-1);
      if (highest !== undefined) upstream?.uplink.appended(highest);
      timer.wake();
    },
    writtenUntil: (us) => {
      // Batches of absolute times need no segment, and may be in the buffer before there is one.
      if (segments.isKnown) watermark.complete({ segment: segments.id, us });
    },
  });
  const timer = new BatchTimer({ batcher, writer, clock, scheduler });
  const sources = new SourceRunner(config.sources, { batcher, clock, scheduler, random, log, drops });

  // What batches refer to is declared before the sources run; where the disk refuses that, behind their back.
  const ending = new AbortController();
  const declared = await declareFirst();
  sources.start();
  // What an earlier start has left to be done may be for one of them.
  declared.done.then(() => whenTheDiskTakes(() => desk.recall(), disk, ending.signal)).catch(() => {});
  log.info({ device, version, epoch: Buffer.from(buffer.identity.epoch).toString('hex') }, 'the agent is sampling');

  // Everything that can wait until the sources are running.
  let health: HealthServers | undefined;
  let stopping: Promise<void> | undefined;
  const upstreamStarted = startUpstream();
  upstreamStarted.catch((thrown: unknown) => {
    if (stopping !== undefined) return;
    log.error({ details: TributaryError.from(thrown).message }, 'nothing can be uploaded; readings are only buffered');
  });
  const stopLooking = repeat(scheduler, clockLookMs, () => {
    segments.look();
    if (upstream !== undefined && segments.takeExchangeDue()) upstream.uplink.registerAgain();
  });

  /** Resolves when the buffer has the segment, or has refused it; what it answers resolves when it has it. */
  async function declareFirst(): Promise<{ done: Promise<void> }> {
    const wasOpen = buffer.isOpen;
    const done = buffer.opened.then(async (opened) => {
      reportOpening(opened, config.buffer.path, log);
      if (!wasOpen) {
        catalogue.adopt(opened);
        watermark.newEpoch(opened.highestSequence);
      }
      await whenTheDiskTakes(
        () => segments.begin(),
        disk,
        ending.signal,
        () => refused(),
      );
      // Batches may wait for it.
      timer.wake();
    });
    let refused = () => {};
    if (wasOpen) {
      const waited = new Promise<void>((resolve) => {
        refused = resolve;
      });
      await Promise.race([done, waited]).catch(async (error: unknown) => {
        await buffer.close();
        throw error;
      });
    }
    done.catch(() => {});
    return { done };
  }

  async function startUpstream(): Promise<void> {
    if (!segments.isKnown) await startHealth();
    const { createUpstream } = await import('./runtime/upstream.js');
    await declared.done;
    const made = await createUpstream({
      config,
      tls,
      random,
      startId: new Uint8Array(randomBytes(16)),
      agentVersion: version,
      limits: { lingerMs: config.collector.streamAge },
      attributes: deviceAttributes(config),
      identity: {
        ...buffer.identity,
        series: [...catalogue.series],
        segments: [...catalogue.segments],
        anchors: [...catalogue.anchors],
      },
      deps: {
        buffer,
        desk,
        clock,
        scheduler,
        log,
        ...(deps.connect === undefined ? {} : { connect: deps.connect }),
        segment: () => segments.id,
        watermark: (oldest) => {
          // Also before the first of their batches is in the buffer.
          if (batcher.hasAbsolute) return undefined;
          const isEmpty = batcher.pendingReadings === 0 && writer.pendingReadings === 0;
          if (isEmpty) watermark.complete({ segment: segments.id, us: clock.monotonicUs() });
          return watermark.at(oldest);
        },
        epochOpened: (opened) => {
          watermark.newEpoch(opened.highestSequence);
          catalogue.restore().catch((thrown: unknown) => {
            log.error({ details: TributaryError.from(thrown).message }, 'the new epoch has no catalogue yet');
          });
        },
        clocksCompared: (comparison) => segments.compared(comparison),
        linked: (isLinked) => {
          batcher.setAgeUs((isLinked ? config.batching.maxAge : config.batching.maxAgeOffline) * 1000);
        },
      },
    });
    if (stopping !== undefined) return;
    upstream = made;
    // What was declared while this was being loaded.
    upstream.uplink.catalogue(catalogue);
    upstream.uplink.start();
    await startHealth();
  }

  async function startHealth(): Promise<void> {
    health ??= await serveHealth(config, status, log);
    if (stopping !== undefined) await health.close();
  }

  async function status(): Promise<AgentStatus> {
    const nowMs = scheduler.nowMs();
    const stored = await buffer.status();
    const uptimeSeconds = (nowMs - startedMs) / 1000;
    const wear = flashWear(stored, writer.counters.readings, uptimeSeconds, config.buffer.cardEndurance);
    const state = upstream?.uplink.state ?? { state: 'stopped' as const };
    const counters = upstream?.uplink.counters;
    const lastSuccessMs = counters?.lastSuccessMs;
    return {
      version,
      device,
      collector: formatAddress(config.collector.address),
      startedAt,
      uptimeSeconds,
      rssBytes: process.memoryUsage.rss(),
      sources: sources.reports,
      readings: {
        taken: writer.counters.readings,
        dropped: {
          ...drops.counts,
          ...(writer.counters.readingsLost > 0 ? { lost: writer.counters.readingsLost } : {}),
        },
        pending: batcher.pendingReadings + writer.pendingReadings,
      },
      batches: { closed: writer.counters.closed, bytes: writer.counters.bytes },
      buffer: {
        epoch: Buffer.from(stored.epoch).toString('hex'),
        items: stored.itemsWaiting,
        readings: stored.readingsWaiting,
        bytes: stored.bytesWaiting,
        quotaBytes: config.buffer.quota,
        oldestSequence: stored.oldestSequence,
        highestSequence: stored.highestSequence,
        readingsProduced: stored.readingsProduced,
        readingsEvicted: stored.readingsEvicted,
        readingsThinned: stored.readingsThinned,
        itemsQuarantined: stored.itemsQuarantined,
        bytesWritten: stored.bytesWritten,
        blockBytesWritten: stored.blockBytesWritten,
        ...(wear === undefined ? {} : { wear }),
        ...(buffer.trouble === undefined ? {} : { trouble: buffer.trouble }),
        appendFailures: writer.counters.appendFailures,
      },
      uplink: {
        state: state.state,
        ...('why' in state ? { why: state.why } : {}),
        connects: counters?.connects ?? 0,
        connectFailures: counters?.connectFailures ?? 0,
        registrations: counters?.registrations ?? 0,
        streams: {
          answered: counters?.streamsAnswered ?? 0,
          deferred: counters?.streamsDeferred ?? 0,
          broken: counters?.streamsBroken ?? 0,
        },
        itemsAcknowledged: counters?.itemsAcknowledged ?? 0,
        itemsRejected: counters?.itemsRejected ?? 0,
        epochsOpened: counters?.epochsOpened ?? 0,
        itemsForgotten: counters?.itemsForgotten ?? 0,
        backlog: upstream?.uplink.forecast(stored) ?? { trend: 'unknown' },
        ...(lastSuccessMs === undefined ? {} : { lastSuccessAgeSeconds: (nowMs - lastSuccessMs) / 1000 }),
      },
      alerts: {
        cursor: upstream?.alerts.cursor ?? identity.alertCursor,
        received: upstream?.alerts.counters.received ?? 0,
        repeated: upstream?.alerts.counters.repeated ?? 0,
        damagedIntents: desk.damagedIntents,
        actions: desk.actions,
        statuses: desk.statuses,
      },
    };
  }

  async function stop(): Promise<void> {
    log.info('the agent stops');
    stopLooking();
    ending.abort(new TributaryError('cancelled', 'the agent stops'));
    const acted = within(scheduler, stopActionsMs, desk.stop());
    await within(scheduler, stopSourcesMs, sources.stop());
    batcher.flush();
    // An append that hangs in a disk's driver cannot be given up, only left behind.
    await within(scheduler, stopAppendMs + stopMarginMs, writer.drain(stopAppendMs));
    timer.stop();
    catalogue.stop();
    if (upstream !== undefined) {
      await upstream.uplink.drained(stopUploadMs);
      upstream.uplink.stop();
    }
    await acted;
    await within(scheduler, stopBufferMs, Promise.allSettled([health?.close(), buffer.close()]));
    log.info({ readings: writer.counters.readings, lost: writer.counters.readingsLost }, 'the agent has stopped');
  }

  return {
    status,
    upstreamStarted,
    get metricsPort() {
      return health?.metricsPort;
    },
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** Certificates are checked while the buffer opens; if they cannot be used, the buffer is closed again. */
async function tlsOrClose({ tls }: AgentConfig, opening: Promise<EdgeBuffer>): Promise<TlsMaterial> {
  try {
    return loadTlsFiles(tls, 'device');
  } catch (error) {
    // What the buffer says about itself comes second; the certificates are what the caller must mend first.
    await opening.then((buffer) => buffer.close()).catch(() => {});
    throw error;
  }
}
