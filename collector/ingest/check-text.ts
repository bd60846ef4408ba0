// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not stand in a name
const CONTROL = /[\u0000-\u001f\u007f]/;

/** The same but for line breaks and tabs, which stand in sentences. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not stand in a text
const CONTROL_IN_LINES = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

export interface MapLimits {
  entriesMax: number;
  keyBytesMax: number;
  valueBytesMax: number;
  /** Values may have line breaks. */
  takesLines?: boolean;
}

/**
 * What is wrong with a text that a peer gave, as one line that names the field; undefined when nothing is. Strings are UTF-8
 * by then: the protobuf reader has replaced what was not, and the replacement character is refused.
 */
export function checkText(
  field: string,
  text: string,
  bytesMin: number,
  bytesMax: number,
  takesLines = false,
): string | undefined {
  const length = Buffer.byteLength(text);
  if (length < bytesMin) return `${field}: empty; a text is needed`;
  if (length > bytesMax) return `${field}: ${length} bytes; at most ${bytesMax} are taken`;
  if ((takesLines ? CONTROL_IN_LINES : CONTROL).test(text)) return `${field}: it has control characters`;
  if (text.includes('\ufffd')) return `${field}: it is not UTF-8`;
  return undefined;
}

/** The same of each key and value. */
export function checkMap(
  field: string,
  map: Readonly<Record<string, string>>,
  { entriesMax, keyBytesMax, valueBytesMax, takesLines = false }: MapLimits,
): string | undefined {
  const keys = Object.keys(map);
  if (keys.length > entriesMax) return `${field}: ${keys.length}; at most ${entriesMax} are taken`;
  for (const key of keys) {
    const problem =
      checkText(`${field} key`, key, 1, keyBytesMax) ??
      checkText(`${field}.${key}`, map[key]!, 0, valueBytesMax, takesLines);
    if (problem !== undefined) return problem;
  }
  return undefined;
}
