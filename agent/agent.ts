import { randomBytes } from 'node:crypto';
import { systemClock, systemScheduler } from '@tributary/core/clock/clock';
import { systemRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Agent, AgentDeps } from './agent-interface.js';
import { AlertDesk } from './alerts/alert-desk.js';
import { DEFAULT_BATCH_BOUNDS } from './batching/batch-bounds.js';
import { Batcher, PENDING_SEGMENT } from './batching/batcher.js';
import { SqliteBuffer } from './buffer/sqlite-buffer.js';
import type { AgentConfig } from './config/schema.js';
import type { AgentStatus } from './health/agent-status.js';
import { type Progress, stuckPart } from './health/progress.js';
import { AgentCatalogue } from './runtime/agent-catalogue.js';
import { agentRules } from './runtime/agent-rules.js';
import { deviceAttributes } from './runtime/attributes.js';
import { BatchTimer } from './runtime/batch-timer.js';
import { BatchWriter } from './runtime/batch-writer.js';
import { bufferOptions } from './runtime/buffer-options.js';
import type { ConfigChanges } from './runtime/config-changes.js';
import { connectionOrClose } from './runtime/connection-or-close.js';
import { CrashWindow } from './runtime/crash-window.js';
import { whenTheDiskTakes } from './runtime/disk-patience.js';
import { DropCounter } from './runtime/drop-counter.js';
import { EventualBuffer } from './runtime/eventual-buffer.js';
import { seriesProtection } from './runtime/full-policy.js';
import { type HealthServers, serveHealth } from './runtime/health-servers.js';
import { hostTime } from './runtime/host-time.js';
import { reportOpening } from './runtime/opening-report.js';
import { repeat } from './runtime/repeat.js';
import { SegmentKeeper } from './runtime/segment-keeper.js';
import { SourceRunner } from './runtime/source-runner.js';
import { statusOf } from './runtime/status-of.js';
import type { Upstream } from './runtime/upstream.js';
import { Watermark } from './runtime/watermark.js';
import { within } from './runtime/within.js';
import { agentVersion } from './version.js';

export type { Agent, AgentDeps } from './agent-interface.js';

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
  const open = () => SqliteBuffer.open(bufferOptions(config, scheduler.nowMs() - startedMs));
  const opening = deps.buffer ?? open();
  const connection = await connectionOrClose(config, opening);
  const { device } = connection;

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

  // Rules that this device evaluates by itself.
  const identified = { identity: connection.identity, buffer, catalogue, segments, desk };
  const made = { batcher: () => batcher, writer: () => writer };
  const rules = agentRules(config, { ...identified, ...made, clock, scheduler, log });

  // From sources through batches into the buffer.
  const drops = new DropCounter();
  const watermark = new Watermark(identity);
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
    judging: rules,
    appended: (sequences, oldest, highest) => {
      const { epoch } = buffer.identity;
      for (const [at, sequence] of sequences.entries()) watermark.appended(epoch, sequence, oldest[at]);
      if (highest !== undefined) upstream?.uplink.appended(highest);
      timer.wake();
    },
    writtenUntil: (us) => {
      // Batches of absolute times need no segment, and may be in the buffer before there is one.
      if (segments.isKnown) watermark.complete({ segment: segments.id, us });
      rules.writtenUntil(us);
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
  /** Since when the uplink could have begun; infinite while it is not its turn, and once it has. */
  let uplinkDueMs = Number.POSITIVE_INFINITY;
  const upstreamStarted = startUpstream();
  upstreamStarted.catch((thrown: unknown) => {
    if (stopping !== undefined) return;
    // Only a new start can help.
    uplinkDueMs = Math.min(uplinkDueMs, scheduler.nowMs());
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
        watermark.newEpoch(opened);
      }
      await whenTheDiskTakes(
        () => segments.begin(),
        disk,
        ending.signal,
        () => refused(),
      );
      await rules.load(disk, ending.signal, () => refused());
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
    uplinkDueMs = scheduler.nowMs();
    const made = await createUpstream({
      connection,
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
          watermark.newEpoch(opened);
          catalogue.restore().catch((thrown: unknown) => {
            log.error({ details: TributaryError.from(thrown).message }, 'the new epoch has no catalogue yet');
          });
        },
        clocksCompared: (comparison) => segments.compared(comparison),
        rules,
        linked: (isLinked) => {
          rules.linked(isLinked);
          batcher.setAgeUs((isLinked ? config.batching.maxAge : config.batching.maxAgeOffline) * 1000);
        },
      },
    });
    if (stopping !== undefined) return;
    upstream = made;
    uplinkDueMs = Number.POSITIVE_INFINITY;
    // What was declared while this was being loaded.
    upstream.uplink.catalogue(catalogue);
    upstream.uplink.start();
    await startHealth();
  }

  async function startHealth(): Promise<void> {
    health ??= await serveHealth(config, status, log);
    if (stopping !== undefined) await health.close();
  }

  function status(): Promise<AgentStatus> {
    const parts = { config, connection, sources, batcher, writer, drops, buffer, rules, desk, upstream };
    return statusOf(
      { ...parts, started: { version, ms: startedMs, at: startedAt }, alertCursor: identity.alertCursor },
      scheduler.nowMs(),
    );
  }

  async function progress(): Promise<Progress> {
    const { readingsWaiting } = await buffer.status();
    const nowMs = scheduler.nowMs();
    const source = sources.mostOverdue(nowMs);
    const stuck = stuckPart([
      { part: `source "${source?.name}"`, overdueMs: source?.overdueMs ?? 0 },
      { part: 'closing batches', overdueMs: timer.overdueMs },
      { part: 'the uplink', overdueMs: upstream?.uplink.overdueMs(nowMs) ?? nowMs - uplinkDueMs },
    ]);
    const summary = `uplink ${upstream?.uplink.state.state ?? 'not started'}, ${readingsWaiting} readings wait`;
    return stuck === undefined ? { summary } : { stuck, summary };
  }

  function reload(next: AgentConfig): ConfigChanges {
    const { changes, isChanged } = connection.take(next);
    log.level = next.log.level;
    if (isChanged) upstream?.uplink.reconnect();
    return changes;
  }

  async function stop(): Promise<void> {
    log.info('the agent stops');
    stopLooking();
    ending.abort(new TributaryError('cancelled', 'the agent stops'));
    const acted = within(scheduler, stopActionsMs, desk.stop());
    await within(scheduler, stopSourcesMs, sources.stop());
    batcher.flush();
    rules.finish();
    // An append that hangs in a disk's driver cannot be given up, only left behind.
    await within(scheduler, stopAppendMs + stopMarginMs, writer.drain(stopAppendMs));
    await within(scheduler, stopAppendMs, rules.settled());
    timer.stop();
    catalogue.stop();
    if (upstream !== undefined) {
      await upstream.uplink.drained(stopUploadMs);
      upstream.uplink.stop();
    }
    await acted;
    if (buffer.isOnStandby) await within(scheduler, stopBufferMs, reportAbandoned());
    await within(scheduler, stopBufferMs, Promise.allSettled([health?.close(), buffer.close()]));
    log.info({ readings: writer.counters.readings, lost: writer.counters.readingsLost }, 'the agent has stopped');
  }

  async function reportAbandoned(): Promise<void> {
    const { readingsWaiting: readings } = await buffer.status();
    if (readings > 0) log.error({ readings }, 'readings are lost: they waited in memory, since the disk takes none');
  }

  return {
    status,
    progress,
    reload,
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
