/** A key of a configuration is short; a long one is not worth quadratic work. */
const charactersMax = 64;

/**
 * The candidate that `word` was probably meant to be: the fewest insertions, deletions, replacements and swaps of
 * neighbours (optimal string alignment), at most a third of its length, case aside. Undefined when none is near.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(Math.min(word.length, charactersMax) / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(squeeze(word), squeeze(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** People write `baud_rate` and `baud-rate` for `baudRate`: that is no distance at all. */
function squeeze(word: string): string {
  return word.slice(0, charactersMax).toLowerCase().replaceAll(/[-_ ]/g, '');
}

function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (same ? 0 : 1));
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, beforePrevious[column - 2] + 1);
      }
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length];
}
