import type { Derived, RollupColumns, RuleStateRow } from '../store/store.js';

type ColumnName = Exclude<keyof RollupColumns, 'length'>;

const COLUMNS: readonly ColumnName[] = [
  'deviceId',
  'seriesId',
  'stepSeconds',
  'start',
  'count',
  'min',
  'max',
  'mean',
  'm2',
  'first',
  'firstUs',
  'last',
  'lastUs',
];

/** What one device has of a save. */
interface Share {
  rollupRows: number[];
  ruleStates: RuleStateRow[];
}

/**
 * Divides a save so that the store can commit readings in between: a portion is closed when it has `rowsMax` rows. A
 * device is never divided, because its mark stands for all of its rows: one device may make a portion of more rows. Rule
 * states of devices without a mark, which repeat nothing, go with the first portion.
 */
export function portionsOf(derived: Derived, rowsMax: number): Derived[] {
  const { marks, rollups, ruleStates } = derived;
  if (marks.length <= 1 || rollups.length + ruleStates.length <= rowsMax) return [derived];
  const shares = new Map<number, Share>(marks.map(({ deviceId }) => [deviceId, { rollupRows: [], ruleStates: [] }]));
  const first = shares.get(marks[0]!.deviceId)!;
  const shareOf = (deviceId: number) => shares.get(deviceId) ?? first;
  for (let row = 0; row < rollups.length; row++) shareOf(rollups.deviceId[row]!).rollupRows.push(row);
  for (const state of ruleStates) shareOf(state.deviceId).ruleStates.push(state);
  const portions: Derived[] = [];
  let open: { marks: Derived['marks'][number][]; rollupRows: number[]; ruleStates: RuleStateRow[] } = empty();
  for (const mark of marks) {
    const share = shares.get(mark.deviceId)!;
    const rows = open.rollupRows.length + open.ruleStates.length + share.rollupRows.length + share.ruleStates.length;
    if (open.marks.length > 0 && rows > rowsMax) {
      portions.push({ ...open, rollups: pick(rollups, open.rollupRows) });
      open = empty();
    }
    open.marks.push(mark);
    for (const row of share.rollupRows) open.rollupRows.push(row);
    for (const state of share.ruleStates) open.ruleStates.push(state);
  }
  portions.push({ ...open, rollups: pick(rollups, open.rollupRows) });
  return portions;
}

function empty() {
  return { marks: [], rollupRows: [], ruleStates: [] };
}

function pick(rollups: RollupColumns, rows: readonly number[]): RollupColumns {
  const columns = COLUMNS.map((name) => [name, Float64Array.from(rows, (row) => rollups[name][row]!)] as const);
  return { length: rows.length, ...(Object.fromEntries(columns) as Record<ColumnName, Float64Array>) };
}
