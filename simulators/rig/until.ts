/** Between two looks: the processes under test need the processor more than whoever watches them. */
const LOOK_MS = 50;

/** What a condition may take on a busy small machine before its test has failed; within the time that a test has. */
const DEADLINE_MS = 30_000;

/**
 * Waits until `look` answers something else than undefined or false, and answers that. Rejects with what was awaited, and
 * with the last error of `look`, when it takes too long; before that an error only means that it is not so yet.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const endMs = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > endMs) throw new Error(`not within ${deadlineMs / 1000} s: ${what}`, { cause });
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
