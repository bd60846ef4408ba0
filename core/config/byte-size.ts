import * as v from 'valibot';

const unitBytes = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;
const form = /^(\d{1,9})(B|KiB|MiB|GiB|TiB)$/;

/** `64KiB`, `1MiB`, `1GiB` as bytes; undefined when `text` is not of that form. */
export function parseByteSize(text: string): number | undefined {
  const match = form.exec(text);
  return match === null ? undefined : Number(match[1]) * unitBytes[match[2] as keyof typeof unitBytes];
}

/** Bytes as the shortest exact text, `65536` as `64KiB`. */
export function formatByteSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB'] as const) {
    if (bytes >= unitBytes[unit] && bytes % unitBytes[unit] === 0) return `${bytes / unitBytes[unit]}${unit}`;
  }
  return `${bytes}B`;
}

/**
 * A field that holds a number of bytes with its unit; the value is in bytes. Both bounds are inclusive. Units are the
 * binary ones of IEC 80000-13; `KB` and `MB` are refused because they mean two things.
 */
export function byteSize({
  minBytes = 0,
  maxBytes = Number.MAX_SAFE_INTEGER,
}: {
  minBytes?: number;
  maxBytes?: number;
} = {}) {
  const remedy = 'write a whole number with its unit, such as 512B, 64KiB, 1MiB or 2GiB';
  return v.pipe(
    v.string((issue) => `${typeof issue.input === 'number' ? 'a size without a unit' : 'not a size'}; ${remedy}`),
    v.regex(form, `not a size; ${remedy}`),
    v.transform((text) => parseByteSize(text) as number),
    v.minValue(minBytes, `too small; at least ${formatByteSize(minBytes)} is needed`),
    v.maxValue(maxBytes, `too large; at most ${formatByteSize(maxBytes)} is allowed`),
  );
}
