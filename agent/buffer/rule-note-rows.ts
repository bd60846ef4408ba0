import { crc32 } from 'node:zlib';
import type { RuleNote } from './buffer.js';

// A limit or a state that a failing disk has changed would act, so each row has a checksum: CRC-32 over the other columns as a
// JSON array. What fails it is as if it were not there: rules come again from the collector, and a state is unknown.

export type RuleNoteRow = [id: number, name: string, text: string, checksum: number];

export function rowOfRuleNote(id: number, name: string, text: string): RuleNoteRow {
  return [id, name, text, crc32(JSON.stringify([id, name, text]))];
}

/** Undefined where the checksum fails. */
export function ruleNoteOfRow([id, name, text, checksum]: RuleNoteRow): RuleNote | undefined {
  return crc32(JSON.stringify([id, name, text])) === checksum ? { name, text } : undefined;
}
