import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';

/**
 * Rules for devices whose readings are numbers that count up: how fast they do, how many there are, and whether any come.
 * Batches come each 6 to 60 seconds on the average, so that each of these fires and ends many times an hour.
 */
export const SIM_RULES = parseRules(
  `
rules:
  - {name: fast, select: {name: temperature}, delta: {over: 1m}, above: 20, clear: 10, gap: 3m}
  - {name: slow, select: {name: pressure}, rate: {over: 2m, per: 1m}, below: 6, for: 30s, gap: 4m}
  - {name: many, select: {name: temperature}, window: {function: count, over: 1m, every: 10s}, above: 8}
  - {name: silent, select: {name: pressure}, absent: 90s}
  - name: both
    all:
      - {select: {name: temperature}, delta: {over: 1m}, above: 10}
      - {select: {name: pressure}, window: {function: count, over: 1m, every: 10s}, above: 3}
    gap: 3m
`,
  'simulation',
);

export const COMPILED_SIM_RULES = SIM_RULES.map(compileRule);

/** Rules whose incidents begin with a reading that decides it. */
export const DECIDED_BY_READING: ReadonlySet<string> = new Set(['fast', 'slow']);
