/** What a trial measured: one flat object, printed as it is. */
export type Figures = Record<string, number | string | boolean>;

/** One benchmark. It runs in a process of its own, and tiny in the tests, so that it cannot rot. */
export interface Trial {
  /** Each option's name and what it means, for the usage text. */
  options: Record<string, string>;
  run(options: Record<string, string | true>): Promise<Figures>;
}

/** An option as a number. Throws one line for a person when it is none, or below `min`. */
export function numberOption(options: Record<string, string | true>, name: string, fallback: number, min = 1): number {
  const text = options[name];
  if (text === undefined) return fallback;
  const value = text === true ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value < min)
    throw new Error(`--${name} must be a number of at least ${min}, not ${text}`);
  return value;
}
