import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Identity } from '@tributary/core/identity/spiffe-id';
import type { Logger } from 'pino';
import type { AlertDesk } from '../alerts/alert-desk.js';
import { type Batcher, PENDING_SEGMENT } from '../batching/batcher.js';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import type { AgentConfig } from '../config/schema.js';
import type { AgentCatalogue } from './agent-catalogue.js';
import { deviceAttributes } from './attributes.js';
import type { BatchWriter } from './batch-writer.js';
import { noteBytesPerReading } from './buffer-options.js';
import { RulesHost } from './rules-host.js';
import type { SegmentKeeper } from './segment-keeper.js';

/** What of an agent its own rules have to do with. */
export interface AgentRulesParts {
  /** From its certificate. */
  identity: Identity;
  buffer: EdgeBuffer;
  catalogue: AgentCatalogue;
  segments: SegmentKeeper;
  desk: AlertDesk;
  clock: Clock;
  scheduler: Scheduler;
  log: Logger;
  /** These two are made later. */
  batcher(): Batcher;
  writer(): BatchWriter;
}

/** Puts a device's own rules into its agent. */
export function agentRules(config: AgentConfig, parts: AgentRulesParts): RulesHost {
  const { identity, buffer, catalogue, segments, desk, clock, scheduler, log, batcher, writer } = parts;
  const device = identity.kind === 'device' ? identity : { tenant: undefined, device: '' };
  return new RulesHost({
    device: { tenant: device.tenant ?? '', device: device.device },
    attributes: deviceAttributes(config),
    buffer,
    clock,
    scheduler,
    log,
    batcher: {
      watchRows: (watch) => batcher().watchRows(watch),
      flush: () => batcher().flush(),
      pendingReadings: () => batcher().pendingReadings,
    },
    writer: { pump: () => writer().pump(), pendingReadings: () => writer().pendingReadings },
    series: () => catalogue.series,
    segment: () => (segments.isKnown ? segments.id : PENDING_SEGMENT),
    epoch: () => buffer.identity.epoch,
    wallUs: (segment, us) => segments.wallUsOf(segment, us),
    act: (alerts) => desk.take(alerts),
    noteBytesPerReading: noteBytesPerReading(config),
  });
}
