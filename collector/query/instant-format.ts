import { parseDurationMs } from '@tributary/core/config/duration';

/** ECMAScript's dates end there. */
const DATE_MS_MAX = 8.64e15;

/** An instant in units of 10^-unitExponent s since the Unix epoch as RFC 3339 text with just as many digits. */
export function formatInstant(units: bigint, unitExponent: number): string {
  const perSecond = 10n ** BigInt(unitExponent);
  let seconds = units / perSecond;
  let rest = units % perSecond;
  if (rest < 0n) {
    seconds -= 1n;
    rest += perSecond;
  }
  const ms = Number(seconds) * 1000;
  // Beyond what a date can say the number of seconds says it.
  const whole = Math.abs(ms) > DATE_MS_MAX ? `${seconds}s` : new Date(ms).toISOString().slice(0, -5);
  const fraction = unitExponent === 0 ? '' : `.${String(rest).padStart(unitExponent, '0')}`;
  return whole.endsWith('s') ? `${whole.slice(0, -1)}${fraction}s` : `${whole}${fraction}Z`;
}

/** Microseconds since the Unix epoch as RFC 3339 text. */
export function formatUs(us: number): string {
  return Number.isFinite(us) ? formatInstant(BigInt(Math.round(us)), 6) : '';
}

/** An ISO 8601 date or time, or a duration such as `15m` for that long ago, in microseconds; undefined when neither. */
export function parseInstantUs(text: string, nowMs: number): number | undefined {
  const ago = parseDurationMs(text);
  if (ago !== undefined) return (nowMs - ago) * 1000;
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return undefined;
  // Without a zone a date means UTC, as everything here does.
  const zoned = /[Tt ]/.test(text) && !/([Zz]|[+-]\d{2}:?\d{2})$/.test(text) ? `${text}Z` : text;
  const ms = Date.parse(zoned.replace(' ', 'T'));
  return Number.isNaN(ms) ? undefined : ms * 1000;
}
