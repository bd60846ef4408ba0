import type { RegisterRequest } from '@tributary/proto/gen/tributary/v1/device';
import {
  type ClockAnchor,
  ClockState,
  type SegmentDeclaration,
  type SeriesDeclaration,
  ValueType,
} from '@tributary/proto/gen/tributary/v1/series';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import { ANCHORS_PER_EPOCH_MAX, CLOCK_ID_MAX, SEGMENTS_PER_EPOCH_MAX } from '../store/store.js';
import { checkMap, checkText } from './check-text.js';

/** Limits of what a registration may say. */
export interface RegistrationLimits {
  epochsPerRegisterMax: number;
  seriesPerDeviceMax: number;
}

/** As the contract says of a series' name and unit, and of a boot's id. */
const NAME_BYTES_MAX = 128;
const UNIT_BYTES_MAX = 32;
const BOOT_ID_BYTES_MAX = 64;
/** Labels and attributes are what people filter by: a few short words, as in Prometheus. */
const LABEL_LIMITS = { entriesMax: 32, keyBytesMax: 64, valueBytesMax: 256 };
const VERSION_BYTES_MAX = 64;
const START_ID_BYTES = 16;

export interface RegistrationProblem {
  /** `too-many-series` is a device that would flood the catalogue. */
  reason: 'invalid' | 'too-many-series';
  /** One line for a person, naming the field. */
  detail: string;
}

/** What is wrong with a registration; undefined when nothing is. */
export function checkRegistration(
  request: RegisterRequest,
  limits: RegistrationLimits,
): RegistrationProblem | undefined {
  const { length } = request.series;
  if (length > limits.seriesPerDeviceMax) {
    const detail = `series: ${length}; at most ${limits.seriesPerDeviceMax} are taken of one device`;
    return { reason: 'too-many-series', detail };
  }
  const detail = problemOf(request, limits);
  return detail === undefined ? undefined : { reason: 'invalid', detail };
}

function problemOf(request: RegisterRequest, limits: RegistrationLimits): string | undefined {
  if (request.startId.length !== START_ID_BYTES) return `start_id: ${request.startId.length} bytes; 16 are needed`;
  const { epochs, series, segments, anchors } = request;
  if (epochs.length === 0) return 'epochs: the epoch that the device writes is missing';
  if (epochs.length > limits.epochsPerRegisterMax) {
    return `epochs: ${epochs.length}; at most ${limits.epochsPerRegisterMax} are taken`;
  }
  const seen = new Set<string>();
  for (const { epoch } of epochs) {
    if (epoch.length !== EPOCH_BYTES) return `epochs.epoch: ${epoch.length} bytes; ${EPOCH_BYTES} are needed`;
    const key = Buffer.from(epoch).toString('latin1');
    if (seen.has(key)) return 'epochs: one stands there twice';
    seen.add(key);
  }
  return (
    checkText('agent_version', request.agentVersion, 0, VERSION_BYTES_MAX) ??
    checkText('rules_version', request.rulesVersion, 0, VERSION_BYTES_MAX) ??
    checkMap('attributes', request.attributes, LABEL_LIMITS) ??
    checkSeries(series, limits.seriesPerDeviceMax) ??
    checkSegments(segments) ??
    checkAnchors(anchors)
  );
}

function checkSeries(series: readonly SeriesDeclaration[], seriesMax: number): string | undefined {
  let previous = 0;
  for (const { id, name, unit, labels, type } of series) {
    if (id <= previous || id > seriesMax)
      return `series.id: ${id} after ${previous}; ids count up from 1 to ${seriesMax}`;
    previous = id;
    const problem =
      checkText('series.name', name, 1, NAME_BYTES_MAX) ??
      checkText('series.unit', unit, 0, UNIT_BYTES_MAX) ??
      checkMap('series.labels', labels, LABEL_LIMITS);
    if (problem !== undefined) return problem;
    if (type !== ValueType.DOUBLE && type !== ValueType.BOOLEAN && type !== ValueType.STRING) {
      return `series.type: ${type} of series ${id}; double, boolean and string are known`;
    }
  }
  return undefined;
}

function checkSegments(segments: readonly SegmentDeclaration[]): string | undefined {
  if (segments.length > SEGMENTS_PER_EPOCH_MAX) {
    return `segments: ${segments.length}; at most ${SEGMENTS_PER_EPOCH_MAX} are taken`;
  }
  let previous = 0;
  for (const { id, bootId, offsetUs, observedAtUs, state } of segments) {
    if (id <= previous || id > CLOCK_ID_MAX) {
      return `segments.id: ${id} after ${previous}; ids count up from 1 to ${CLOCK_ID_MAX}`;
    }
    previous = id;
    const problem = checkText('segments.boot_id', bootId, 1, BOOT_ID_BYTES_MAX);
    if (problem !== undefined) return problem;
    if (!Number.isSafeInteger(offsetUs) || !Number.isSafeInteger(observedAtUs)) {
      return `segments.offset_us: of segment ${id} beyond 2^53`;
    }
    // It is stored with each batch, in four bits.
    if (ClockState[state] === undefined || state === ClockState.UNRECOGNIZED) {
      return `segments.state: ${state} of segment ${id}; 0 to ${ClockState.PLACED} are known`;
    }
  }
  return undefined;
}

function checkAnchors(anchors: readonly ClockAnchor[]): string | undefined {
  if (anchors.length > ANCHORS_PER_EPOCH_MAX) {
    return `anchors: ${anchors.length}; at most ${ANCHORS_PER_EPOCH_MAX} are taken`;
  }
  let previous = 0;
  for (const { id, segment, atUs, offsetUs, uncertaintyUs, state } of anchors) {
    if (id <= previous || id > CLOCK_ID_MAX) {
      return `anchors.id: ${id} after ${previous}; ids count up from 1 to ${CLOCK_ID_MAX}`;
    }
    previous = id;
    if (segment < 1 || segment > CLOCK_ID_MAX) {
      return `anchors.segment: ${segment} of anchor ${id}; segments count up from 1 to ${CLOCK_ID_MAX}`;
    }
    if (!Number.isSafeInteger(atUs) || !Number.isSafeInteger(offsetUs) || !Number.isSafeInteger(uncertaintyUs)) {
      return `anchors.offset_us: of anchor ${id} beyond 2^53`;
    }
    if (ClockState[state] === undefined || state === ClockState.UNRECOGNIZED) {
      return `anchors.state: ${state} of anchor ${id}; 0 to ${ClockState.PLACED} are known`;
    }
  }
  return undefined;
}
