import { SeriesReadings } from '@tributary/core/rules/series-readings';
import { TimeQuality } from '@tributary/proto/gen/tributary/v1/query';
import { FUTURE_TOLERANCE_US } from '../ingest/check-item.js';
import type { CommittedBatch } from '../ingest/committed.js';
import type { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { RuleHost } from './rule-host.js';

/** Takes committed batches apart into series, once for rollups and rules. Synchronous; no object for each reading. */
export class Digest {
  /** Readings that rules were not shown because they are from the future. */
  readingsFromFuture = 0;

  readonly #readings = new SeriesReadings();
  readonly #rollups: RollupBuffer;
  readonly #rules: RuleHost | undefined;

  constructor(rollups: RollupBuffer, rules: RuleHost | undefined) {
    this.#rollups = rollups;
    this.#rules = rules;
  }

  /**
   * Readings from the future (`nowUs` is the collector's wall clock) move no rule: one of them would make a rule take all
   * that comes before that time for old, and say nothing for years. What was of the future when it came stays so, so that a
   * replay judges as it was judged the first time.
   */
  take(committed: CommittedBatch, nowUs: number): void {
    const { batch, deviceId, series } = committed;
    const readings = this.#readings;
    readings.openBatch(batch, committed.offsetUs);
    this.#rules?.open(committed);
    const isFuture = committed.quality === TimeQuality.FUTURE || committed.lastUs > nowUs + FUTURE_TOLERANCE_US;
    if (isFuture) this.readingsFromFuture += batch.readings;
    for (const group of batch.groups) {
      readings.openGroup(group);
      for (const column of group.columns) {
        // States are text: there is nothing to sum up or to compare with a threshold.
        if (column.type === 'string' || column.count === 0) continue;
        const known = series[column.seriesId];
        // Ingest takes no batch with an unknown series; a store that lost its catalogue has nothing to file it under.
        if (known === undefined) continue;
        readings.select(column);
        this.#rollups.add(deviceId, known.seriesId, readings);
        if (!isFuture) this.#rules?.evaluate(deviceId, known.seriesId, known.declaration, readings);
      }
    }
    this.#rules?.close();
  }
}
