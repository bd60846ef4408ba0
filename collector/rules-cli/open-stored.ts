import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import { commandErrorOf, StoreError } from '../store/store-error.js';

/** Opens a store to read it, beside its collector or without one. Rejects with a `TributaryError`. */
export async function openStored(path: string): Promise<SqliteStore> {
  try {
    return await SqliteStore.openForReading({ path });
  } catch (error) {
    if (error instanceof StoreError) throw commandErrorOf(error);
    throw error;
  }
}
