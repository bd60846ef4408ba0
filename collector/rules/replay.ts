import { DecodeArena } from '@tributary/proto/batch/arena';
import { BatchError } from '@tributary/proto/batch/batch-error';
import { decodeBatch } from '@tributary/proto/batch/decode';
import type { CommittedBatch, CommittedTransition } from '../ingest/committed.js';
import type { CatalogueSeries, Store, StoredItems } from '../store/store.js';
import { batchBytes, hasReadings, lineSequence } from '../store/thinned-item.js';
import { storedTransition } from './stored-transition.js';

/** Reads committed batches back and decodes them as they were followed the first time. */
export class Replay {
  /** Stored batches that cannot be decoded: a newer version wrote them, or the store is damaged. */
  undecodable = 0;

  readonly #store: Pick<Store, 'catalogue'>;
  readonly #arena = new DecodeArena();

  constructor(store: Pick<Store, 'catalogue'>) {
    this.#store = store;
  }

  /** The catalogues of the epochs in `page`, to be had before `decode`. */
  async catalogues(page: readonly StoredItems[]): Promise<Map<number, (CatalogueSeries | undefined)[]>> {
    const catalogues = new Map<number, (CatalogueSeries | undefined)[]>();
    for (const { deviceId, epochId } of page) {
      if (!catalogues.has(epochId)) catalogues.set(epochId, await this.#store.catalogue(deviceId, epochId));
    }
    return catalogues;
  }

  /**
   * Hands each batch of `stored` to `take`, whose columns are valid during that call only, and each transition of a device's
   * own incidents to `adopt`.
   */
  decode(
    stored: StoredItems,
    series: readonly (CatalogueSeries | undefined)[],
    take: (batch: CommittedBatch) => void,
    adopt: (transition: CommittedTransition) => void,
  ): void {
    const { deviceId, epochId, epoch, position } = stored;
    for (const item of stored.items) {
      const transition = storedTransition(item, stored, series);
      if (transition !== undefined) adopt(transition);
      if (!hasReadings(item.kind)) continue;
      const { sequence, offsetUs, lastUs, quality, lane } = item;
      this.#arena.reset();
      try {
        const batch = decodeBatch(batchBytes(item), this.#arena);
        const placed = { sequence, lineSequence: lineSequence(item, epoch) };
        take({ deviceId, epochId, epoch, position, ...placed, offsetUs, lastUs, quality, lane, series, batch });
      } catch (error) {
        if (!(error instanceof BatchError)) throw error;
        this.undecodable += 1;
      }
    }
  }
}
