/** Characters that a log line shows of what was dropped: enough to recognise it. */
const EXCERPT_CHARACTERS = 80;

/** The beginning of a line for a log, on one line and printable whatever the bytes are. */
export function excerpt(line: Uint8Array): string {
  const shown = line.subarray(0, EXCERPT_CHARACTERS);
  let text = '';
  for (const byte of shown) {
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return line.length > EXCERPT_CHARACTERS ? `${text}...` : text;
}
