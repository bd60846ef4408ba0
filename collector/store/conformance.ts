import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeCopies } from './conformance/copies.js';
import { register, registration } from './conformance/data.js';
import { describeDerived } from './conformance/derived.js';
import { describeIncidents } from './conformance/incidents.js';
import { describeIngest } from './conformance/ingest.js';
import { describeNotifications } from './conformance/notifications.js';
import { describeReads } from './conformance/reads.js';
import { describeThinned } from './conformance/thinned.js';
import type { Store } from './store.js';

/** How the suite comes by stores; each implementation says it in its test. */
export interface StoreUnderTest {
  /** A new store with nothing in it. */
  create(): Promise<Store>;
  /** Closes the store of the last `create` and opens the same again. */
  reopen(): Promise<Store>;
  /** Closes and removes it. */
  remove(): Promise<void>;
}

/** What every store must do, whatever it is made of. */
export function describeStore(name: string, target: StoreUnderTest): void {
  describe(`${name} store`, () => {
    let store: Store;
    beforeEach(async () => {
      store = await target.create();
    });
    afterEach(() => target.remove());
    const under = { store: () => store, reopen: () => target.reopen() };
    describeIngest(under);
    describeDerived(under);
    describeIncidents(under);
    describeNotifications(under);
    describeReads(under);
    describeThinned(under);
    describeCopies(under);

    it('rejects with a StoreError once it is closed', async () => {
      await register(store, 'd');
      await store.close();
      await expect(store.undigested()).rejects.toMatchObject({ name: 'StoreError', code: 'closed' });
      await expect(store.register(registration('d'))).rejects.toMatchObject({ name: 'StoreError', code: 'closed' });
    });
  });
}
