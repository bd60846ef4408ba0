import type { LedgerEntry } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CountedRows } from './counted-rows.js';
import { CRASH_WINDOW } from './loss-entries.js';

/**
 * Within the first transaction of a process: if the one before did not end in order, declares what a crash can have taken
 * along, as a bound. `crashBound` is what this process can have in memory before its first append is written.
 *
 * With deferred durability sequences were reserved, and any of them may have been used: none is used again, and their
 * readings count as produced. Otherwise one sequence stands for the readings that were in no batch of the buffer yet.
 */
export function beginRun(rows: CountedRows, crashBound: number): void {
  const { state } = rows;
  const first = state.highestSequence + 1;
  const isReserved = state.reservedSequence >= first;
  const readings = isReserved ? state.reservedReadings : state.crashBound;
  if (!state.isClosed && (isReserved || readings > 0)) {
    const last = isReserved ? state.reservedSequence : first;
    state.highestSequence = last;
    state.readingsProduced += readings;
    const entry: LedgerEntry = { epoch: state.epoch, first, last, readings, bound: true, reason: CRASH_WINDOW };
    rows.appendDeclaration([entry]);
  }
  state.reservedSequence = 0;
  state.reservedReadings = 0;
  state.crashBound = crashBound;
  state.isClosed = false;
}
