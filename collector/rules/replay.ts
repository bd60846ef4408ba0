import { DecodeArena } from '@tributary/proto/batch/arena';
import { BatchError } from '@tributary/proto/batch/batch-error';
import { decodeBatch } from '@tributary/proto/batch/decode';
import { ItemKind, LossDeclaration } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { CommittedBatch, CommittedNote } from '../ingest/committed.js';
import type { CatalogueSeries, CheckedItem, Store, StoredItems } from '../store/store.js';
import { batchBytes, hasReadings, replacedBy } from '../store/thinned-item.js';

/** Reads committed batches back and decodes them as they were followed the first time. */
export class Replay {
  /** Stored batches that cannot be decoded: a newer version wrote them, or the store is damaged. */
  undecodable = 0;

  readonly #store: Pick<Store, 'catalogue'>;
  readonly #arena = new DecodeArena();

  constructor(store: Pick<Store, 'catalogue'>) {
    this.#store = store;
  }

  /** The catalogues of the epochs in `page`, to be had before `decode`; those in `known` are not asked for again. */
  async catalogues(
    page: readonly StoredItems[],
    known = new Map<number, (CatalogueSeries | undefined)[]>(),
  ): Promise<Map<number, (CatalogueSeries | undefined)[]>> {
    for (const { deviceId, epochId } of page) {
      if (!known.has(epochId)) known.set(epochId, await this.#store.catalogue(deviceId, epochId));
    }
    return known;
  }

  /** Hands each batch of `stored` to `take`, whose columns are valid during that call only, and what holds none to `note`. */
  decode(
    stored: StoredItems,
    series: readonly (CatalogueSeries | undefined)[],
    take: (batch: CommittedBatch) => void,
    note: (note: CommittedNote) => void,
  ): void {
    const { deviceId, epochId, epoch, position } = stored;
    for (const item of stored.items) {
      const { sequence, readings, readingsBefore, firstUs, lastUs, offsetUs, quality, lane } = item;
      if (!hasReadings(item.kind)) {
        note({ deviceId, position, epoch, sequence, declared: declaredBy(item) });
        continue;
      }
      this.#arena.reset();
      try {
        const batch = decodeBatch(batchBytes(item), this.#arena);
        const placed = { sequence, readings, readingsBefore, replaced: replacedBy(item), firstUs, lastUs };
        take({ deviceId, epochId, epoch, position, ...placed, offsetUs, quality, lane, series, batch });
      } catch (error) {
        if (!(error instanceof BatchError)) throw error;
        this.undecodable += 1;
      }
    }
  }
}

/** What a declaration declares lost. One that cannot be read was made by a newer version. */
function declaredBy({ kind, body }: CheckedItem) {
  if (kind !== ItemKind.DECLARATION) return [];
  try {
    return LossDeclaration.decode(body).entries;
  } catch {
    return [];
  }
}
