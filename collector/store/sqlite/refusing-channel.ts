import { StoreError } from '../store-error.js';
import type { OperationChannel } from './operation-channel.js';

/** Stands where the writer would be in a store that was opened for reading. */
export class RefusingChannel<O extends Record<keyof O, (...parameters: never[]) => unknown>>
  implements OperationChannel<O>
{
  readonly #path: string;
  #isClosed = false;

  constructor(path: string) {
    this.#path = path;
  }

  call<K extends keyof O & string>(operation: K): Promise<ReturnType<O[K]>> {
    if (this.#isClosed) return Promise.reject(new StoreError('closed', 'the store is closed'));
    return Promise.reject(new StoreError('busy', `${this.#path} was opened for reading: ${operation} would write`));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }
}
