import { defaultIngestLimits, type IngestLimits } from '../ingest/ingest-limits.js';
import type { CollectorConfig } from './schema.js';

/** The limits of ingest as configured; what is not configurable has its default. */
export function ingestLimitsOf({ limits }: CollectorConfig): IngestLimits {
  return {
    ...defaultIngestLimits,
    itemBytesMax: limits.itemBytes,
    batchReadingsMax: limits.batchReadings,
    streamBytesMax: limits.streamBytes,
    inFlightBytesMax: limits.inFlight,
    deviceInFlightBytesMax: limits.deviceInFlight,
    devicesMax: limits.devices,
    seriesPerDeviceMax: limits.seriesPerDevice,
    backfillBytesPerSecond: limits.backfillBytesPerSecond,
  };
}
