import { existsSync } from 'node:fs';
import { itemChecksum } from '@tributary/proto/items/item';
import { ASIDE_SUFFIXES } from '../buffer-file.js';
import type { BufferState, ItemTable } from '../item-table.js';
import { isSameEpoch } from '../raw-state.js';
import { type BufferCopy, damageOf, liveName, withCopy } from './buffer-copy.js';

/** Findings that are told in full; the rest is counted. */
const FINDINGS_MAX = 20;
const ROWS = 256;
const BYTES = 1 << 20;

export interface BufferReport {
  path: string;
  /** Hexadecimal. */
  epoch: string;
  items: number;
  readings: number;
  oldestSequence: number;
  highestSequence: number;
  readingsProduced: number;
  quarantined: number;
  /** What is wrong. */
  findings: string[];
  findingsMore: number;
  /** What a person may want to know, and is not wrong. */
  notes: string[];
}

/** Every row's checksum, the order and the cumulative counts of all rows, counters against rows and against the mark. */
export function verifyBuffer(path: string): BufferReport {
  return withCopy(path, (copy) => reportOf(path, copy));
}

function reportOf(path: string, { file, table }: BufferCopy): BufferReport {
  const { check, salvaged } = file;
  const findings = new Findings();
  const notes: string[] = [];
  const damage = damageOf(file);
  if (damage !== undefined) findings.add(damage);
  if (salvaged !== undefined) {
    for (const { first, last, readings, bound } of salvaged.declared) {
      findings.add(
        `${first} to ${last} are not there: ${bound ? 'at most ' : ''}${readings} readings, some of which may have gone up`,
      );
    }
  }
  const state = table.state();
  const seen = state === undefined ? { items: 0, readings: 0, oldest: 0 } : walk(table, state, findings);
  if (state !== undefined && (seen.items !== state.itemsStored || seen.readings !== state.readingsStored)) {
    findings.add(
      `the counters say ${state.itemsStored} items and ${state.readingsStored} readings; there are ${seen.items} and ${seen.readings}`,
    );
  }
  const { mark } = check;
  if (mark === undefined) notes.push('there is no mark beside the database; the next start of the agent writes one');
  else if (
    state !== undefined &&
    isSameEpoch(mark.epoch, state.epoch) &&
    mark.highestSequence > state.highestSequence
  ) {
    findings.add(`the mark says that it had come to ${mark.highestSequence}; it ends at ${state.highestSequence}`);
  }
  if (salvaged === undefined && !check.isTailSure) findings.add('its log is gone: what was written last may be lost');
  if (state?.isSuspect === true) notes.push('its epoch is left as soon as the collector has settled what waits');
  if (!check.wasClosed) notes.push('it was not closed in order, or an agent is running');
  for (const suffix of ASIDE_SUFFIXES) {
    const aside = `${liveName(path)}${suffix}`;
    if (aside !== path && existsSync(aside)) notes.push(`a damaged file lies beside it: ${aside}`);
  }
  return {
    path,
    epoch: Buffer.from(state?.epoch ?? []).toString('hex'),
    items: seen.items,
    readings: seen.readings,
    oldestSequence: seen.oldest,
    highestSequence: state?.highestSequence ?? 0,
    readingsProduced: state?.readingsProduced ?? 0,
    quarantined: file.db.prepare('SELECT count(*) FROM quarantine').pluck().get() as number,
    findings: findings.told,
    findingsMore: findings.more,
    notes,
  };
}

function walk(table: ItemTable, state: BufferState, findings: Findings) {
  const seen = { items: 0, readings: 0, oldest: 0 };
  let sequenceBefore = 0;
  let end = 0;
  for (let from = 1; ; ) {
    const items = table.items(from, ROWS, BYTES);
    if (items.length === 0) return seen;
    for (const { sequence, kind, readings, readingsBefore, body, checksum } of items) {
      if (seen.items === 0) seen.oldest = sequence;
      seen.items++;
      seen.readings += readings;
      const isIntact = itemChecksum(state.epoch, sequence, kind, readings, readingsBefore, body) === checksum;
      if (!isIntact) findings.add(`item ${sequence} fails its checksum`);
      const isContiguous =
        sequence === sequenceBefore + 1 && sequenceBefore > 0 ? readingsBefore === end : readingsBefore >= end;
      if (isIntact && !isContiguous)
        findings.add(`item ${sequence} counts ${readingsBefore} readings before it, not ${end}`);
      if (sequence > state.highestSequence)
        findings.add(`item ${sequence} is above ${state.highestSequence}, the highest`);
      if (isIntact) end = readingsBefore + readings;
      sequenceBefore = isIntact ? sequence : 0;
    }
    from = items.at(-1)!.sequence + 1;
  }
}

class Findings {
  readonly told: string[] = [];
  more = 0;

  add(text: string): void {
    if (this.told.length < FINDINGS_MAX) this.told.push(text);
    else this.more++;
  }
}

/** For a person: one line a fact. */
export function reportText(report: BufferReport): string {
  const { findings, findingsMore, notes, ...facts } = report;
  const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(16)}  ${value}`);
  for (const note of notes) lines.push(`note: ${note}`);
  for (const finding of findings) lines.push(`FOUND: ${finding}`);
  if (findingsMore > 0) lines.push(`FOUND: ${findingsMore} more of the kind`);
  if (findings.length === 0) lines.push('nothing is wrong');
  return `${lines.join('\n')}\n`;
}
