import type { Batch, Column, Group } from '@tributary/proto/batch/batch';
import { DEFAULT_BATCH_LIMITS } from '@tributary/proto/batch/batch-limits';
import type { BatchGroup } from './batch-group.js';
import type { GroupStore } from './group-store.js';
import type { SeriesAnswer, SeriesRegistry } from './series-registry.js';

/** Microseconds: 10^-6 s. */
const UNIT_EXPONENT = 6;

/** The rows of one group in a closed batch. */
export interface ClosedPart {
  group: BatchGroup;
  store: GroupStore;
}

/** A batch that takes no more rows, and whose series may still wait for their ids. */
export interface ClosedBatch {
  segment: number;
  baseUs: number;
  readings: number;
  parts: ClosedPart[];
}

/** A closed batch with ids, as what the format takes. */
export interface Assembled {
  batches: { batch: Batch; isProtected: boolean }[];
  /** Readings left out because their series was refused. */
  refused: number;
}

interface Pack {
  batch: Batch;
  isProtected: boolean;
  ids: Set<number>;
}

/**
 * Gives a closed batch its ids; undefined while one is pending. Answers more than one batch where the same series came
 * from two groups, since a batch has a series once, and where there are more groups or columns than a batch may have.
 * Protected series have batches of their own, so that the buffer can drop the others; a row that has both kinds is in
 * both, with its instant. The batches share the stores' memory.
 */
export function assemble(closed: ClosedBatch, registry: SeriesRegistry): Assembled | undefined {
  const answers = closed.parts.map((part) => askIds(part, registry));
  if (answers.some((ids) => ids.includes('pending'))) return undefined;
  const packs: Pack[] = [];
  let refused = 0;
  for (const [at, { group, store }] of closed.parts.entries()) {
    const ordinary: Column[] = [];
    const kept: Column[] = [];
    for (const [index, id] of answers[at].entries()) {
      const column = store.columns[index];
      if (column.count === 0) continue;
      if (typeof id === 'number') (group.isProtected[index] ? kept : ordinary).push(column.column(id, store.rows));
      else refused += column.count;
    }
    for (const columns of [ordinary, kept]) {
      if (columns.length === 0) continue;
      // The encoder is at its fastest, and the ids at their smallest, in ascending order.
      columns.sort((a, b) => a.seriesId - b.seriesId);
      const isProtected = columns === kept;
      const pack = packs.find((each) => fits(each, isProtected, columns)) ?? newPack(closed, isProtected, packs);
      add(pack, { rows: store.rows, times: store.times, columns });
    }
  }
  return { batches: packs, refused };
}

function askIds({ group, store }: ClosedPart, registry: SeriesRegistry): SeriesAnswer[] {
  // A series without values needs no id; columns were added to the store in the order of the group's series.
  return store.columns.map((column, index) => (column.count === 0 ? 'refused' : registry.idOf(group.specs[index])));
}

function newPack({ segment, baseUs }: ClosedBatch, isProtected: boolean, packs: Pack[]): Pack {
  const batch: Batch = { segment, unitExponent: UNIT_EXPONENT, baseTime: BigInt(baseUs), groups: [], readings: 0 };
  const pack = { batch, isProtected, ids: new Set<number>() };
  packs.push(pack);
  return pack;
}

function fits(pack: Pack, isProtected: boolean, columns: readonly Column[]): boolean {
  const { batch, ids } = pack;
  if (pack.isProtected !== isProtected) return false;
  if (batch.groups.length >= DEFAULT_BATCH_LIMITS.maxGroups) return false;
  if (ids.size + columns.length > DEFAULT_BATCH_LIMITS.maxColumns) return false;
  return columns.every((column) => !ids.has(column.seriesId));
}

function add({ batch, ids }: Pack, group: Group): void {
  batch.groups.push(group);
  for (const column of group.columns) {
    ids.add(column.seriesId);
    batch.readings += column.count;
  }
}
