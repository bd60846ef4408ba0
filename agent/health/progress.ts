/** Whether the agent gets on, asked from outside of its own loops. */
export interface Progress {
  /** The part that is stuck, in words; undefined while all get on. */
  stuck?: string;
  /** What the agent does, for whoever looks at the service. */
  summary: string;
}

/** A part of the agent, and how late it is with what it was to do by itself. */
export interface PartProgress {
  part: string;
  overdueMs: number;
}

/**
 * A wake-up so late is not late any more, it is lost. Longer than a small machine stands still under load or after SIGSTOP,
 * where everything is late together and catches up by itself.
 */
export const STUCK_MS = 30_000;

/** The part that is late by the most, if it counts as stuck. */
export function stuckPart(parts: readonly PartProgress[]): string | undefined {
  let worst: PartProgress | undefined;
  for (const part of parts) {
    if (part.overdueMs >= STUCK_MS && part.overdueMs > (worst?.overdueMs ?? 0)) worst = part;
  }
  return worst === undefined ? undefined : `${worst.part} is late by ${Math.round(worst.overdueMs / 1000)} s`;
}
