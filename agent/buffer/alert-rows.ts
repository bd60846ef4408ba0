import { crc32 } from 'node:zlib';
import type { Standing, StoredStatus } from './alert-table.js';

// What is to be done about alerts, as rows. An intent that reads as open though it is done would be done twice, so each of
// these rows has a checksum: CRC-32 over the columns but the blob as a JSON array, then over the blob.

export type IntentRow = [
  id: number,
  alert: number,
  action: string,
  standing: number,
  reason: string,
  body: Uint8Array,
  checksum: number,
];

export type StatusRow = [
  id: number,
  name: string,
  value: string,
  sinceUs: number,
  incidents: Uint8Array,
  checksum: number,
];

export interface Intent {
  id: number;
  /** Id of the transition that it is about. */
  alert: number;
  action: string;
  standing: Standing;
  reason: string;
  body: Uint8Array;
}

export function rowOfIntent({ id, alert, action, standing, reason, body }: Intent): IntentRow {
  return [id, alert, action, standing, reason, body, checksumOf([id, alert, action, standing, reason], body)];
}

/** Undefined where the checksum fails, as below. */
export function intentOfRow([id, alert, action, standing, reason, body, checksum]: IntentRow): Intent | undefined {
  if (checksumOf([id, alert, action, standing, reason], body) !== checksum) return undefined;
  return { id, alert, action, standing: standing as Standing, reason, body: new Uint8Array(body) };
}

export function rowOfStatus(id: number, { name, value, sinceUs, incidents }: StoredStatus): StatusRow {
  return [id, name, value, sinceUs, incidents, checksumOf([id, name, value, sinceUs], incidents)];
}

export function statusOfRow([id, name, value, sinceUs, incidents, checksum]: StatusRow): StoredStatus | undefined {
  if (checksumOf([id, name, value, sinceUs], incidents) !== checksum) return undefined;
  return { name, value, sinceUs, incidents: new Uint8Array(incidents) };
}

function checksumOf(columns: readonly (string | number)[], blob: Uint8Array): number {
  const checksum = crc32(JSON.stringify(columns));
  // Of no bytes zlib answers 0, whatever came before.
  return blob.length === 0 ? checksum : crc32(blob, checksum);
}
