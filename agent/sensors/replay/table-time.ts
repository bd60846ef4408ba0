/** How a table gives its times: the name of its first column says so. */
export const TIME_COLUMNS = ['time_us', 'time_ms', 'time_s', 'time'] as const;

export type TimeColumn = (typeof TIME_COLUMNS)[number];

const DECIMALS: Readonly<Record<Exclude<TimeColumn, 'time'>, number>> = { time_us: 0, time_ms: 3, time_s: 6 };
const decimal = /^(-?)(\d+)(?:\.(\d+))?$/;
const iso = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})?$/;

/**
 * The microseconds that a cell of a time column stands for; undefined when it is no time, is none that a double holds
 * exactly, or has a fraction of a microsecond. `time` is ISO 8601 with date and time; without an offset it is UTC.
 */
export function parseTimeUs(text: string, column: TimeColumn): number | undefined {
  const timeUs = column === 'time' ? parseIso(text) : parseDecimal(text, DECIMALS[column]);
  return Number.isSafeInteger(timeUs) ? timeUs : undefined;
}

function parseDecimal(text: string, decimals: number): number | undefined {
  const match = decimal.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = ''] = match;
  const scaled = scaledFraction(fraction, decimals);
  if (scaled === undefined) return undefined;
  const value = Number(whole) * 10 ** decimals + scaled;
  return sign === '-' && value !== 0 ? -value : value;
}

function parseIso(text: string): number | undefined {
  const match = iso.exec(text);
  if (match === null) return undefined;
  const [, date, time, fraction = '', offset = 'Z'] = match;
  const scaled = scaledFraction(fraction, 6);
  const ms = Date.parse(`${date}T${time}${offset}`);
  return scaled === undefined || Number.isNaN(ms) ? undefined : ms * 1000 + scaled;
}

/** Digits behind a point as a whole number of `decimals` decimals; undefined where they say more than that. */
function scaledFraction(digits: string, decimals: number): number | undefined {
  if (/[^0]/.test(digits.slice(decimals))) return undefined;
  return Number(digits.slice(0, decimals).padEnd(decimals, '0'));
}
