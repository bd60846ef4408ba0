import { SeriesReadings } from '@tributary/core/rules/series-readings';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import type { CommittedBatch } from '../ingest/committed.js';
import type { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { LiveEvaluator } from './live-evaluator.js';

/** Takes committed batches apart into series, once for rollups and rules. Synchronous; no object for each reading. */
export class Digest {
  /** Readings that rules were not shown because they are from the future. */
  readingsFromFuture = 0;

  readonly #readings = new SeriesReadings();
  readonly #rollups: RollupBuffer;
  readonly #rules: LiveEvaluator | undefined;

  constructor(rollups: RollupBuffer, rules: LiveEvaluator | undefined) {
    this.#rollups = rollups;
    this.#rules = rules;
  }

  /**
   * Readings that were of the future when they came move no rule: one of them would make a rule take all that comes before
   * that time for old, and say nothing for years. They stay so, so that whoever judges again judges as it was judged first.
   */
  take(committed: CommittedBatch): void {
    const { batch, deviceId, series } = committed;
    const readings = this.#readings;
    readings.openBatch(batch, committed.offsetUs);
    const isFuture = committed.quality === TimeQuality.FUTURE;
    this.#rules?.open(committed, isFuture);
    if (isFuture) this.readingsFromFuture += batch.readings;
    for (const group of batch.groups) {
      readings.openGroup(group);
      for (const column of group.columns) {
        if (column.count === 0) continue;
        const known = series[column.seriesId];
        // Ingest takes no batch with an unknown series; a store that lost its catalogue has nothing to file it under.
        if (known === undefined) continue;
        readings.select(column);
        // States are text: there is nothing to sum up.
        if (column.type !== 'string') this.#rollups.add(deviceId, known.seriesId, readings);
        if (!isFuture) this.#rules?.evaluate(known.seriesId, known.declaration, readings);
      }
    }
    this.#rules?.close();
  }
}
