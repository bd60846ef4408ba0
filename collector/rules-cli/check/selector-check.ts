import { nearest } from '@tributary/core/config/nearest';
import { glob } from '@tributary/core/rules/glob';
import { compileSelection, type Select } from '@tributary/core/rules/selection';
import type { KnownSeries } from './known-series.js';

/** What is wrong with a selection, at a field of it. */
export interface SelectorWarning {
  /** From the selection: `['labels', 'room']`; empty for all of it. */
  path: string[];
  message: string;
}

/** Words of a kind that are remembered: the nearest of so many is found in a moment, and a person may know the rest. */
const WORDS_MAX = 10_000;

/** Words that are named where none is near. */
const WORDS_SHOWN = 5;

/** One thing that a selection asks. */
interface Criterion {
  path: string[];
  pattern: string;
  /** What it asks of a series: its value there, undefined where it has none. */
  read: (series: KnownSeries) => string | undefined;
  matches: (value: string) => boolean;
  what: string;
  hasMatched: boolean;
  words: Set<string>;
}

/** Watches series go by and says which of its parts keeps a selection from matching any of them. */
export class SelectorCheck {
  readonly #selects: (series: KnownSeries) => boolean;
  #hasMatched = false;
  readonly #criteria: Criterion[];

  constructor(select: Select) {
    const compiled = compileSelection(select);
    this.#selects = ({ identity, attributes }) => compiled(identity, attributes);
    this.#criteria = criteriaOf(select);
  }

  see(series: KnownSeries): void {
    // Why it matches nothing is of interest only while it does.
    if (this.#hasMatched) return;
    this.#hasMatched = this.#selects(series);
    for (const criterion of this.#criteria) {
      if (criterion.hasMatched) continue;
      const value = criterion.read(series);
      if (value === undefined) continue;
      if (criterion.matches(value)) criterion.hasMatched = true;
      else if (criterion.words.size < WORDS_MAX) criterion.words.add(value);
    }
  }

  /** Why nothing was selected; empty when something was. */
  warnings(): SelectorWarning[] {
    if (this.#hasMatched) return [];
    const failing = this.#criteria.filter(({ hasMatched }) => !hasMatched);
    if (failing.length > 0) return failing.map(warningOf);
    const all = this.#criteria.map(({ path }) => path.join('.')).join(', ');
    return [{ path: [], message: `no known series matches all of ${all}, though each of them matches some` }];
  }
}

function warningOf({ path, pattern, what, words }: Criterion): SelectorWarning {
  const known = [...words];
  // A pattern is near to what it would be without its wildcards.
  const near = nearest(pattern.replaceAll(/[*?]/g, ''), known) ?? nearest(pattern, known);
  const shown = known.slice(0, WORDS_SHOWN).join(', ');
  const more = known.length > WORDS_SHOWN ? ` and ${known.length - WORDS_SHOWN} more` : '';
  const remedy =
    near !== undefined ? `did you mean ${near}?` : known.length === 0 ? 'none has one' : `there are ${shown}${more}`;
  return { path, message: `no known ${what} matches ${JSON.stringify(pattern)}; ${remedy}` };
}

function criteriaOf({ name, device, unit, labels = {}, attributes = {} }: Select): Criterion[] {
  const criteria: Criterion[] = [];
  const add = (path: string[], what: string, pattern: string, read: Criterion['read'], matches = glob(pattern)) => {
    criteria.push({ path, pattern, read, matches, what, hasMatched: false, words: new Set() });
  };
  if (name !== undefined) add(['name'], 'series', name, ({ identity }) => identity.name);
  if (device !== undefined) add(['device'], 'device', device, ({ identity }) => identity.device);
  if (unit !== undefined)
    add(
      ['unit'],
      'unit',
      unit,
      ({ identity }) => identity.unit,
      (value) => value === unit,
    );
  for (const [key, pattern] of Object.entries(labels)) {
    add(['labels', key], `label ${key}`, pattern, ({ identity }) => own(identity.labels, key));
  }
  for (const [key, pattern] of Object.entries(attributes)) {
    add(['attributes', key], `attribute ${key} of a device`, pattern, (series) => own(series.attributes, key));
  }
  return criteria;
}

function own(values: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(values, key) ? values[key] : undefined;
}
