/**
 * Bytes of a database page. Measured, see docs/BUFFER.md: a small device commits one short row a second, and each
 * commit writes whole pages.
 */
export const PAGE_BYTES = 512;

// SQLite's file format, section 1.6: a leaf of a table b-tree has an 8-byte header and a 2-byte pointer for each cell.
const LEAF_USABLE_BYTES = PAGE_BYTES - 8;
const LOCAL_PAYLOAD_BYTES_MAX = PAGE_BYTES - 35;
const LOCAL_PAYLOAD_BYTES_MIN = Math.floor(((PAGE_BYTES - 12) * 32) / 255) - 23;
const OVERFLOW_PAYLOAD_BYTES = PAGE_BYTES - 4;
/** The record's header and the columns beside the body, for large sequences and counts. */
const COLUMNS_BYTES = 23;
/** The cell's pointer, the length of its payload and its row id. */
const CELL_BYTES = 8;

/**
 * Bytes that a row with this body takes in the database file: its share of a leaf page with what is wasted there, and its
 * overflow pages. The quota counts these, so that it is about the disk.
 */
export function rowBytes(bodyBytes: number): number {
  const payload = bodyBytes + COLUMNS_BYTES;
  if (payload <= LOCAL_PAYLOAD_BYTES_MAX) return leafShare(payload);
  const remainder = LOCAL_PAYLOAD_BYTES_MIN + ((payload - LOCAL_PAYLOAD_BYTES_MIN) % OVERFLOW_PAYLOAD_BYTES);
  const local = remainder <= LOCAL_PAYLOAD_BYTES_MAX ? remainder : LOCAL_PAYLOAD_BYTES_MIN;
  return leafShare(local + 4) + Math.ceil((payload - local) / OVERFLOW_PAYLOAD_BYTES) * PAGE_BYTES;
}

function leafShare(cellPayload: number): number {
  return Math.ceil(PAGE_BYTES / Math.max(1, Math.floor(LEAF_USABLE_BYTES / (cellPayload + CELL_BYTES))));
}
