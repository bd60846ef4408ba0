/** Doubles as base64 of their little-endian bytes: exact for every value, and shorter than most decimal texts. */
export function packDoubles(values: ArrayLike<number>): string {
  const view = new DataView(new ArrayBuffer(values.length * 8));
  for (let index = 0; index < values.length; index += 1) view.setFloat64(index * 8, values[index]!, true);
  return Buffer.from(view.buffer).toString('base64');
}

/** What `packDoubles` wrote; nothing where it is no such text. */
export function unpackDoubles(text: unknown): Float64Array {
  if (typeof text !== 'string') return new Float64Array(0);
  const bytes = Buffer.from(text, 'base64');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length >> 3 }, (_, index) => view.getFloat64(index * 8, true));
}
