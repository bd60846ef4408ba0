/** UTF-8 bytes of a series' name; the contract's bound. */
export const SERIES_NAME_BYTES_MAX = 128;

/** UTF-8 bytes of a series' unit; the contract's bound. The longest UCUM codes in use are a dozen. */
export const SERIES_UNIT_BYTES_MAX = 32;

/**
 * UTF-8 bytes of a state string. A state is a word or two; what is longer is text, which belongs into a log. It also
 * keeps one row of as many states as a source may have series (256) within what a batch may hold of strings (64 KiB).
 */
export const STATE_BYTES_MAX = 256;

/** The bytes that `text` takes as UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}
