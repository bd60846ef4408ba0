import type { EncodedBatch } from '@tributary/agent/buffer/buffer';
import type { Column } from '@tributary/proto/batch/batch';
import { encodeBatch } from '@tributary/proto/batch/encode';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import type { Chance } from './chance.js';
import type { Poison, Production } from './ledger.js';

/** Series that each simulated device has; ids count up from 1 in this order. */
export const SERIES = ['temperature', 'pressure', 'flow'].map((name) => ({
  name,
  unit: '',
  labels: {},
  type: ValueType.DOUBLE,
}));

const POISONS: readonly Poison[] = ['malformed', 'count', 'type', 'store'];

/** A batch on its way into a buffer, with what the ledger shall know of it. */
export interface MadeBatch extends EncodedBatch, Production {}

/** Between two rows of a batch. */
const ROW_US = 10_000;
const ROWS_MAX = 6;
/** Of a batch. */
export const READINGS_MAX = 2 * ROWS_MAX;

/** Makes batches whose readings are numbers that count up and are never used twice, whatever becomes of them. */
export class SimProducer {
  /** How many batches are made wrong on purpose. */
  poisonShare = 0;
  readonly #chance: Chance;
  /** Bodies of items that the store shall fail with. */
  readonly #storePoison: Set<string>;
  #nextNumber: number;
  /** Where the last batch has ended. */
  #last = { segment: 0, us: 0 };

  /** `firstNumber`: of a range that no other device uses. */
  constructor(chance: Chance, firstNumber: number, storePoison: Set<string>) {
    this.#chance = chance;
    this.#nextNumber = firstNumber;
    this.#storePoison = storePoison;
  }

  /** Numbers that are lost before they are in any batch. */
  take(readings: number): Production {
    const firstNumber = this.#nextNumber;
    this.#nextNumber += readings;
    return { firstNumber, readings, poison: undefined, segment: 0, oldestUs: 0 };
  }

  /** A batch of readings about now on the monotonic line of a segment, all of them later than those before. */
  make(segment: number, monotonicUs: number): MadeBatch {
    const chance = this.#chance;
    const rows = chance.whole(1, ROWS_MAX);
    const series = chance.whole(1, 2);
    const { firstNumber, readings } = this.take(rows * series);
    const poison = chance.is(this.poisonShare) ? chance.pick(POISONS) : undefined;
    const columns = Array.from({ length: series }, (_, at): Column => {
      const from = firstNumber + at * rows;
      const values = Float64Array.from({ length: rows }, (_, row) => from + row);
      return { seriesId: at + 1, type: 'double', presence: null, count: rows, values, strings: [] };
    });
    if (poison === 'type') {
      columns[0] = { ...columns[0], type: 'boolean', values: new Float64Array(rows) };
    }
    const lastUs = segment === this.#last.segment ? this.#last.us : 0;
    const oldestUs = Math.max(lastUs + ROW_US, monotonicUs - rows * ROW_US);
    this.#last = { segment, us: oldestUs + (rows - 1) * ROW_US };
    const body = encodeBatch({
      segment,
      unitExponent: 6,
      baseTime: BigInt(oldestUs),
      readings,
      groups: [{ rows, times: Float64Array.from({ length: rows }, (_, row) => row * ROW_US), columns }],
    });
    const made = { body, readings, firstNumber, poison, segment, oldestUs };
    if (poison === 'malformed') return { ...made, body: body.subarray(0, body.length - 1) };
    // The one that it does not have counts as produced, and has its number.
    if (poison === 'count') return { ...made, readings: readings + this.take(1).readings };
    if (poison === 'store') this.#storePoison.add(bodyKey(body));
    return made;
  }
}

/** No two bodies of a simulation are equal, as their numbers are not. */
export function bodyKey(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
}
