import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Four collections in each window of which a soak takes the least. */
const EVERY_MS = 30_000;

/**
 * Loaded before a program, and before each of its threads, with `--import`: collects all garbage now and then. A heap is
 * left to grow as long as there is memory, by more in an hour than a soak allows; without its garbage, what a process
 * takes is what it holds.
 */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
setInterval(collect, EVERY_MS).unref();
