import type Database from 'better-sqlite3';
import type { NewMark, RollupColumns, RuleStateFilter, RuleStateRow } from '../store.js';

/** Columns of {@link PackedDerived.rollups}, in the order of the table's. */
export const ROLLUP_WIDTH = 13;

/** Rows that one call answers at most, 10 MB of columns; who wants more asks again from after the last start. */
export const ROLLUP_ROWS_MAX = 100_000;

/** Both steps of rollups begin at multiples of the larger one. */
const KEPT_STEP_US = 900e6;

/** What {@link Derived} says, its rollups as rows in one buffer. */
export interface PackedDerived {
  marks: readonly NewMark[];
  ruleStates: readonly RuleStateRow[];
  rollups: Float64Array<ArrayBuffer>;
}

/** Rows as one buffer, device_id, series_id, step_seconds, start, count, min, max, mean, m2, first, first_us, last, last_us. */
export function packRollups(columns: RollupColumns): Float64Array<ArrayBuffer> {
  const rows = new Float64Array(columns.length * ROLLUP_WIDTH);
  const ordered = orderedColumns(columns);
  for (let column = 0; column < ROLLUP_WIDTH; column++) {
    const values = ordered[column];
    for (let row = 0; row < columns.length; row++) rows[row * ROLLUP_WIDTH + column] = values[row];
  }
  return rows;
}

/** The reverse of {@link packRollups}. */
export function unpackRollups(rows: Float64Array): RollupColumns {
  const length = rows.length / ROLLUP_WIDTH;
  const column = () => new Float64Array(length);
  const columns: RollupColumns = {
    length,
    deviceId: column(),
    seriesId: column(),
    stepSeconds: column(),
    start: column(),
    count: column(),
    min: column(),
    max: column(),
    mean: column(),
    m2: column(),
    first: column(),
    firstUs: column(),
    last: column(),
    lastUs: column(),
  };
  const ordered = orderedColumns(columns);
  for (let at = 0; at < rows.length; at++) ordered[at % ROLLUP_WIDTH][Math.floor(at / ROLLUP_WIDTH)] = rows[at];
  return columns;
}

function orderedColumns(columns: RollupColumns): Float64Array[] {
  const { deviceId, seriesId, stepSeconds, start, count, min, max, mean, m2, first, firstUs, last, lastUs } = columns;
  return [deviceId, seriesId, stepSeconds, start, count, min, max, mean, m2, first, firstUs, last, lastUs];
}

/** Rollups, rule states and the marks up to which they follow. */
export class DerivedTables {
  readonly #upsert;
  readonly #mark;
  readonly #moveMark;
  readonly #putRuleState;
  readonly #selectRuleStates;
  readonly #selectRuleStatesOf;
  readonly #selectRuleState;
  readonly #selectRollups;
  readonly #save;
  readonly #clear;

  constructor(db: Database.Database) {
    // Counts, means and M2 merge as in Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    // Sample Variances" (1979). Of two values at one instant the smaller is first and the larger last, so that the
    // order of merging does not show. A mean or M2 beyond the doubles becomes NULL and is read as NaN.
    this.#upsert = db.prepare(
      `INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET
         count = count + excluded.count,
         min = min(min, excluded.min),
         max = max(max, excluded.max),
         mean = mean + (excluded.mean - mean) * excluded.count / (count + excluded.count),
         m2 = m2 + excluded.m2
           + (excluded.mean - mean) * (excluded.mean - mean) * count * excluded.count / (count + excluded.count),
         first = CASE WHEN excluded.first_us < first_us THEN excluded.first
           WHEN excluded.first_us = first_us THEN min(first, excluded.first) ELSE first END,
         first_us = min(first_us, excluded.first_us),
         last = CASE WHEN excluded.last_us > last_us THEN excluded.last
           WHEN excluded.last_us = last_us THEN max(last, excluded.last) ELSE last END,
         last_us = max(last_us, excluded.last_us)`,
    );
    this.#mark = db.prepare('UPDATE devices SET derived_mark = max(derived_mark, ?) WHERE device_id = ?');
    this.#moveMark = db.prepare('UPDATE devices SET derived_mark = ? WHERE device_id = ? AND derived_mark = ?');
    this.#putRuleState = db.prepare(
      `INSERT INTO rule_states (device_id, series_id, rule, state) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET state = excluded.state`,
    );
    const columns = 'SELECT device_id AS deviceId, series_id AS seriesId, rule, state FROM rule_states';
    this.#selectRuleStates = db.prepare<[], RuleStateRow>(
      `${columns} WHERE substr(rule, 1, 1) <> '#' ORDER BY device_id, series_id, rule`,
    );
    this.#selectRuleStatesOf = db.prepare<[number], RuleStateRow>(
      `${columns} WHERE device_id = ? AND substr(rule, 1, 1) <> '#' ORDER BY series_id, rule`,
    );
    this.#selectRuleState = db.prepare<[number | null, number | null, string], RuleStateRow>(
      `${columns} WHERE (? IS NULL OR device_id = ?) AND rule = ? ORDER BY device_id, series_id`,
    );
    this.#selectRollups = db
      .prepare<[number, number, number, number, number, number], (number | null)[]>(
        `SELECT * FROM rollups WHERE device_id = ? AND series_id = ? AND step_seconds = ? AND start >= ? AND start < ?
         ORDER BY start LIMIT ?`,
      )
      .raw();
    // Readings before `expired_before_us` may be gone, so rollups up to the end of that quarter of an hour cannot be made
    // again. What a rebuild that was interrupted has kept holds commits up to the mark that it began at.
    const clearMarks = db.prepare(
      `UPDATE devices SET derived_mark = 0, rollups_kept_position = max(rollups_kept_position, derived_mark),
         rollups_kept_before = (SELECT ceil(expired_before_us / ${KEPT_STEP_US}) * ${KEPT_STEP_US / 1e6})`,
    );
    const clearRollups = db.prepare(
      `DELETE FROM rollups WHERE start >= coalesce(
         (SELECT rollups_kept_before FROM devices WHERE devices.device_id = rollups.device_id), start)`,
    );
    this.#save = db.transaction((derived: PackedDerived): number[] => {
      const { rollups } = derived;
      const refused = new Set<number>();
      for (const { deviceId, position, from } of derived.marks) {
        if (from === undefined) this.#mark.run(position, deviceId);
        else if (this.#moveMark.run(position, deviceId, from).changes === 0) refused.add(deviceId);
      }
      for (let at = 0; at < rollups.length; at += ROLLUP_WIDTH) {
        if (refused.has(rollups[at])) continue;
        this.#upsert.run(
          rollups[at],
          rollups[at + 1],
          rollups[at + 2],
          rollups[at + 3],
          rollups[at + 4],
          rollups[at + 5],
          rollups[at + 6],
          rollups[at + 7],
          rollups[at + 8],
          rollups[at + 9],
          rollups[at + 10],
          rollups[at + 11],
          rollups[at + 12],
        );
      }
      for (const { deviceId, seriesId, rule, state } of derived.ruleStates) {
        if (!refused.has(deviceId)) this.#putRuleState.run(deviceId, seriesId, rule, state);
      }
      return [...refused];
    }).immediate;
    this.#clear = db.transaction(() => {
      clearMarks.run();
      clearRollups.run();
    }).immediate;
  }

  /** Answers the devices of which nothing was saved. */
  save(derived: PackedDerived): number[] {
    return this.#save(derived);
  }

  clear(): void {
    this.#clear();
  }

  /** See {@link Store.loadRuleStates}. */
  loadRuleStates({ deviceId, rule }: RuleStateFilter = {}): RuleStateRow[] {
    if (rule !== undefined) return this.#selectRuleState.all(deviceId ?? null, deviceId ?? null, rule);
    return deviceId === undefined ? this.#selectRuleStates.all() : this.#selectRuleStatesOf.all(deviceId);
  }

  /** Rows whose start lies in the half open range, {@link ROLLUP_ROWS_MAX} at the most, packed. */
  read(
    deviceId: number,
    seriesId: number,
    stepSeconds: number,
    fromUs: number,
    untilUs: number,
  ): Float64Array<ArrayBuffer> {
    const rows = this.#selectRollups.all(deviceId, seriesId, stepSeconds, fromUs / 1e6, untilUs / 1e6, ROLLUP_ROWS_MAX);
    const packed = new Float64Array(rows.length * ROLLUP_WIDTH);
    let at = 0;
    for (const row of rows) for (const value of row) packed[at++] = value ?? Number.NaN;
    return packed;
  }
}
