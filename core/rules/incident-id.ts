import { createHash } from 'node:crypto';
import type { SeriesIdentity } from './series-identity.js';

/** The reading that began an incident: where it stands, which no clock can change. */
export interface Onset {
  /** 32 hexadecimal digits. */
  epoch: string;
  sequence: number;
  /** Row of the batch's group. */
  row: number;
  /**
   * Of a condition that is judged by time, the event time in microseconds at which it was found: one reading may be the
   * newest at several of them. 0 where the reading itself was judged.
   */
  gridUs: number;
}

export const INCIDENT_ID_BYTES = 16;

/**
 * An incident's id: the first 16 bytes of the SHA-256 of rule, tenant, device, series and onset, each text preceded by
 * its length, so that whoever evaluates the same readings by the same rule finds the same id.
 */
export function incidentId(rule: string, series: SeriesIdentity, onset: Onset): Uint8Array {
  const labels = Object.keys(series.labels).sort();
  const parts = [rule, series.tenant, series.device, series.name, series.unit];
  for (const label of labels) parts.push(label, series.labels[label] ?? '');
  parts.push(onset.epoch, String(onset.sequence), String(onset.row));
  if (onset.gridUs !== 0) parts.push(String(onset.gridUs));
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}`);
  return new Uint8Array(hash.digest().subarray(0, INCIDENT_ID_BYTES));
}
