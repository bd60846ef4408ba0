import { SeriesReadings } from '@tributary/core/rules/series-readings';
import type { CommittedBatch } from '../ingest/committed.js';
import type { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { RuleHost } from './rule-host.js';

/** Takes committed batches apart into series, once for rollups and rules. Synchronous; no object for each reading. */
export class Digest {
  readonly #readings = new SeriesReadings();
  readonly #rollups: RollupBuffer;
  readonly #rules: RuleHost | undefined;

  constructor(rollups: RollupBuffer, rules: RuleHost | undefined) {
    this.#rollups = rollups;
    this.#rules = rules;
  }

  take(committed: CommittedBatch): void {
    const { batch, deviceId, series } = committed;
    const readings = this.#readings;
    readings.openBatch(batch, committed.offsetUs);
    this.#rules?.open(committed);
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
        this.#rules?.evaluate(deviceId, known.seriesId, known.declaration, readings);
      }
    }
    this.#rules?.close();
  }
}
