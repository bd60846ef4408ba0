import { batches, commit, register } from '../conformance/data.js';
import { StoreError } from '../store-error.js';
import { SqliteStore } from './sqlite-store.js';

/*
 * A collector to be killed: commits runs of items for ever, each of another length, and prints a device's highest sequence
 * when its commit has resolved. When its disk fails it prints why, and then how many readings an audit still finds.
 * Arguments: the database, and a number that makes the lengths.
 */
const [path, seed] = process.argv.slice(2);
const store = await SqliteStore.open({ path });
let random = Number(seed);
const devices = await Promise.all(['a', 'b', 'c'].map((name) => register(store, name)));
const next = devices.map((device) => device.epochs[0].highestSequence + 1);

async function commitNext(index: number): Promise<void> {
  random = (random * 48_271) % 0x7fff_ffff;
  const first = next[index];
  const last = first + (random % 30);
  next[index] = last + 1;
  await commit(store, devices[index], batches(first, last));
  process.stdout.write(`${index} ${last}\n`);
}

for (let failed = false; !failed; ) {
  for (const outcome of await Promise.allSettled(devices.map((_, index) => commitNext(index)))) {
    if (outcome.status === 'fulfilled') continue;
    if (!(outcome.reason instanceof StoreError)) throw outcome.reason;
    process.stdout.write(`failed ${outcome.reason.code}\n`);
    failed = true;
  }
}
const audits = await store.audit(undefined);
process.stdout.write(`audited ${audits.reduce((sum, { stored }) => sum + stored, 0)}\n`);
await store.close();
