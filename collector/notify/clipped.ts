/**
 * Texts of one kind that go out with an alert, at the most. Rules are written by hand and have a handful; what devices send
 * of their own rules could be more, and a notification is to be read by people.
 */
const ENTRIES_MAX = 64;

/** At most so many characters of a text, the last one an ellipsis where something was cut off. */
export function clipped(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  // The first half of a pair of surrogates is no character by itself.
  return `${text.slice(0, charactersMax - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** Of the entries the first 64 by name, each clipped. */
export function clippedEntries(entries: Readonly<Record<string, string>>, charactersMax: number): [string, string][] {
  return Object.entries(entries)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, ENTRIES_MAX)
    .map(([name, value]) => [name, clipped(value, charactersMax)]);
}
