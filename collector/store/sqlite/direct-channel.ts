import { StoreError } from '../store-error.js';
import type { OperationChannel } from './operation-channel.js';
import { toStoreError } from './sqlite-errors.js';

/** Calls operations in this thread: for a database in memory, where nothing waits for a disk. */
export class DirectChannel<O extends Record<keyof O, (...parameters: never[]) => unknown>>
  implements OperationChannel<O>
{
  readonly #operations: O;
  #isClosed = false;

  constructor(operations: O) {
    this.#operations = operations;
  }

  async call<K extends keyof O & string>(operation: K, parameters: Parameters<O[K]>): Promise<ReturnType<O[K]>> {
    if (this.#isClosed) throw new StoreError('closed', 'the store is closed');
    try {
      return this.#operations[operation](...parameters) as ReturnType<O[K]>;
    } catch (error) {
      throw toStoreError(error) ?? error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}
