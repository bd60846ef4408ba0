import type { Clock } from '@tributary/core/clock/clock';
import type { DurableState, RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { DeviceRules } from '../rules/device-rules.js';
import type { DeviceName, RegisteredEpoch, Store } from '../store/store.js';
import { checkRegistration } from './check-registration.js';
import type { IngestCore } from './ingest-core.js';
import type { IngestLimits } from './ingest-limits.js';
import { settleClaims } from './segment-offset.js';

export type RegisterResult =
  | { outcome: 'registered'; response: RegisterResponse; corrected: number }
  /** The request is wrong. */
  | { outcome: 'invalid'; detail: string }
  /** The buffer is a copy of another: the device must open a new epoch. */
  | { outcome: 'conflict'; detail: string }
  | { outcome: 'too-many-series' | 'too-many-epochs'; detail: string };

export interface RegisterDependencies {
  store: Pick<Store, 'register'>;
  clock: Clock;
  core: Pick<IngestCore, 'registered' | 'counters'>;
  limits: IngestLimits;
  /** Which rules the device evaluates by itself; none where it is absent. */
  deviceRules?: Pick<DeviceRules, 'registered'>;
  /** Tells whoever follows the data who the device is, before its first commit. */
  introduce?: (deviceId: number, name: DeviceName, attributes: Readonly<Record<string, string>>) => void;
}

/** Field numbers of the batch's columnar bodies that this collector reads; see FORMAT.md. */
const ENCODINGS: readonly number[] = [4];

const ITEM_KINDS: readonly ItemKind[] = [
  ItemKind.BATCH,
  ItemKind.DECLARATION,
  ItemKind.TRANSITION,
  ItemKind.THINNED_BATCH,
];

/**
 * Ranges that an answer names for one epoch. A device sends in order, so there are few; what is not named is sent again
 * and found to be there. The newest are named, because the oldest are not in the device's buffer any more.
 */
const RANGES_MAX = 1024;

/**
 * Registers a start of the device that the certificate names: its catalogue, its clock, what is durable of its epochs.
 * Rejects with the store's error when the store is away.
 */
export async function register(
  { store, clock, core, limits, introduce, deviceRules }: RegisterDependencies,
  name: DeviceName,
  request: RegisterRequest,
): Promise<RegisterResult> {
  const receivedAtUs = clock.wallUs();
  const problem = checkRegistration(request, limits);
  if (problem !== undefined) {
    core.counters.countRegistrationRefused(problem.reason);
    return { outcome: problem.reason, detail: problem.detail };
  }
  const { segments, anchors, corrected } = settleClaims(request.segments, request.anchors, {
    receivedAtUs,
    monotonicUs: request.monotonicUs,
    segment: request.segment,
  });
  const outcome = await store.register({
    name,
    startId: request.startId,
    agentVersion: request.agentVersion,
    attributes: request.attributes,
    epochs: request.epochs,
    series: request.series,
    segments,
    anchors,
    nowUs: receivedAtUs,
    seriesPerDeviceMax: limits.seriesPerDeviceMax,
  });
  if (outcome.outcome !== 'registered') {
    core.counters.countRegistrationRefused(outcome.outcome);
    return outcome;
  }
  const { device } = outcome;
  introduce?.(device.deviceId, name, request.attributes);
  core.registered(name, device);
  const [first] = device.epochs;
  const response: RegisterResponse = {
    fencingToken: device.fencingToken,
    durable: device.epochs.map(durableState),
    limits: {
      itemBytesMax: limits.itemBytesMax,
      messageBytesMax: limits.messageBytesMax,
      streamBytesMax: limits.streamBytesMax,
      streamDurationMsMax: limits.streamDurationMsMax,
      batchReadingsMax: limits.batchReadingsMax,
    },
    encodings: [...ENCODINGS],
    receivedAtUs,
    sentAtUs: clock.wallUs(),
    seriesKnown: knownFromFirst(first.series),
    segmentsKnown: knownFromFirst(first.segments),
    alertCursor: device.alertCursor,
    anchorsKnown: knownFromFirst(first.anchors),
    rules: deviceRules?.registered(device.deviceId, name, request.attributes, request.rulesVersion),
    itemKinds: [...ITEM_KINDS],
  };
  return { outcome: 'registered', response, corrected };
}

function durableState(epoch: RegisteredEpoch): DurableState {
  return {
    epoch: epoch.epoch,
    ranges: epoch.ranges.slice(-RANGES_MAX),
    highestSequence: epoch.highestSequence,
    highestChecksum: epoch.highestChecksum,
  };
}

/** So many entries are there from the first on without a gap; ids may begin late, with holes before. */
function knownFromFirst(entries: readonly unknown[]): number {
  for (const key in entries) {
    const first = Number(key);
    if (entries[first] === undefined) continue;
    let end = first;
    while (entries[end] !== undefined) end++;
    return end - first;
  }
  return 0;
}
