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
  batches: Batch[];
  /** Readings left out because their series was refused. */
  refused: number;
}

/**
 * Gives a closed batch its ids; undefined while one is pending. Answers more than one batch where the same series came
 * from two groups, since a batch has a series once, and where there are more groups or columns than a batch may have.
 * The batches share the stores' memory.
 */
export function assemble(closed: ClosedBatch, registry: SeriesRegistry): Assembled | undefined {
  const answers = closed.parts.map((part) => askIds(part, registry));
  if (answers.some((ids) => ids.includes('pending'))) return undefined;
  const packs: { batch: Batch; ids: Set<number> }[] = [];
  let refused = 0;
  for (const [at, { store }] of closed.parts.entries()) {
    const columns: Column[] = [];
    for (const [index, id] of answers[at].entries()) {
      const column = store.columns[index];
      if (column.count === 0) continue;
      if (typeof id === 'number') columns.push(column.column(id, store.rows));
      else refused += column.count;
    }
    if (columns.length === 0) continue;
    // The encoder is at its fastest, and the ids at their smallest, in ascending order.
    columns.sort((a, b) => a.seriesId - b.seriesId);
    const pack = packs.find(({ batch, ids }) => fits(batch, ids, columns)) ?? newPack(closed, packs);
    add(pack, { rows: store.rows, times: store.times, columns });
  }
  return { batches: packs.map(({ batch }) => batch), refused };
}

function askIds({ group, store }: ClosedPart, registry: SeriesRegistry): SeriesAnswer[] {
  // A series without values needs no id; columns were added to the store in the order of the group's series.
  return store.columns.map((column, index) => (column.count === 0 ? 'refused' : registry.idOf(group.specs[index])));
}

function newPack({ segment, baseUs }: ClosedBatch, packs: { batch: Batch; ids: Set<number> }[]) {
  const batch: Batch = { segment, unitExponent: UNIT_EXPONENT, baseTime: BigInt(baseUs), groups: [], readings: 0 };
  const pack = { batch, ids: new Set<number>() };
  packs.push(pack);
  return pack;
}

function fits(batch: Batch, ids: ReadonlySet<number>, columns: readonly Column[]): boolean {
  if (batch.groups.length >= DEFAULT_BATCH_LIMITS.maxGroups) return false;
  if (ids.size + columns.length > DEFAULT_BATCH_LIMITS.maxColumns) return false;
  return columns.every((column) => !ids.has(column.seriesId));
}

function add({ batch, ids }: { batch: Batch; ids: Set<number> }, group: Group): void {
  batch.groups.push(group);
  for (const column of group.columns) {
    ids.add(column.seriesId);
    batch.readings += column.count;
  }
}
