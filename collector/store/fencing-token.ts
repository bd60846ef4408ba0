import { crc32 } from 'node:zlib';

/** A token is a counter of starts and, below it, 20 bits of the start's own id. */
const START_BITS = 2 ** 20;

/**
 * The token of a start that takes a device over, above `before`. A store that was restored from a backup counts again from
 * where the backup stood; because a start's own id is in its token, it then gives no start a token that another one,
 * which it does not know any more, may still hold.
 */
export function nextFencingToken(before: number, startId: Uint8Array): number {
  return (Math.floor(before / START_BITS) + 1) * START_BITS + (crc32(startId) % START_BITS);
}
