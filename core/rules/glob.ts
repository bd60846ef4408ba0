/** Whether a text is meant. */
export type Matcher = (text: string) => boolean;

/**
 * A glob over a whole text: `*` is any run of characters, `?` any one character, everything else itself. Matching takes
 * at most the product of both lengths, whatever the pattern (a regular expression could take exponential time).
 */
export function glob(pattern: string): Matcher {
  if (pattern === '*') return () => true;
  if (!/[*?]/.test(pattern)) return (text) => text === pattern;
  return (text) => matches(pattern, text);
}

/** Greedy with one point of return: only the last `*` ever needs to take more. */
function matches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let starText = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p;
      starText = t;
      p += 1;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      starText += 1;
      t = starText;
      p = star + 1;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
