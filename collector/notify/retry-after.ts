import type { IncomingHttpHeaders } from 'node:http';

const secondsForm = /^\d{1,9}$/;

/**
 * How long the other side asks to wait, in milliseconds (RFC 9110 section 10.2.3: seconds, or a date). A date is taken
 * against the other side's own `Date`, so that a clock that is wrong on either side does no harm. Undefined when it does
 * not say, or says nonsense.
 */
export function retryAfterMs(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['retry-after']?.trim();
  if (text === undefined || text === '') return undefined;
  if (secondsForm.test(text)) return Number(text) * 1000;
  const waitMs = Date.parse(text) - Date.parse(headers.date ?? '');
  return Number.isFinite(waitMs) && waitMs >= 0 ? waitMs : undefined;
}
