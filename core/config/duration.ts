import * as v from 'valibot';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const form = /^(\d{1,12})(ms|s|m|h|d)$/;

/** `250ms`, `30s`, `5m`, `24h`, `7d` as milliseconds; undefined when `text` is not of that form. */
export function parseDurationMs(text: string): number | undefined {
  const match = form.exec(text);
  return match === null ? undefined : Number(match[1]) * unitMs[match[2] as keyof typeof unitMs];
}

/** Milliseconds as the shortest exact text, `90000` as `90s`. */
export function formatDurationMs(durationMs: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (durationMs >= unitMs[unit] && durationMs % unitMs[unit] === 0) return `${durationMs / unitMs[unit]}${unit}`;
  }
  return `${durationMs}ms`;
}

/**
 * A field that holds a duration with its unit; the value is in milliseconds. `minMs` and `maxMs` are inclusive. A bare
 * number is refused because nobody can see whether it means seconds. Give defaults as text: `v.optional(duration(), '30s')`.
 */
export function duration({ minMs = 0, maxMs = Number.MAX_SAFE_INTEGER }: { minMs?: number; maxMs?: number } = {}) {
  const remedy = 'write a whole number with its unit, such as 250ms, 30s, 5m, 24h or 7d';
  return v.pipe(
    v.string(
      (issue) => `${typeof issue.input === 'number' ? 'a duration without a unit' : 'not a duration'}; ${remedy}`,
    ),
    v.regex(form, `not a duration; ${remedy}`),
    v.transform((text) => parseDurationMs(text) as number),
    v.minValue(minMs, `too short; at least ${formatDurationMs(minMs)} is needed`),
    v.maxValue(maxMs, `too long; at most ${formatDurationMs(maxMs)} is allowed`),
  );
}
