import type { Store } from '../store.js';

/** The store of the running test. */
export interface UnderTest {
  store(): Store;
  /** Closes it and opens the same again. */
  reopen(): Promise<Store>;
}
