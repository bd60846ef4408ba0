import { readFileSync } from 'node:fs';
import { ConfigError, type ConfigProblem, fieldName } from '@tributary/core/config/problem';
import { parseYaml, type YamlDocument } from '@tributary/core/config/yaml-document';
import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import { loadRules } from '@tributary/core/rules/rule';
import type { Select } from '@tributary/core/rules/selection';
import type { ColumnType } from '@tributary/proto/batch/batch';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import type { KnownSeries } from './known-series.js';
import { SelectorCheck } from './selector-check.js';

/** A rule as a person looks at it. */
export interface RuleSummary {
  rule: string;
  version: string;
  severity: string;
  evaluate: string;
  /** As it stands in the file. */
  condition: Readonly<Record<string, unknown>>;
  select: unknown;
  for: string;
  /** Known series that it watches, and their devices; undefined when nobody was asked. */
  series?: number;
  devices?: number;
}

export interface CheckResult {
  file: string;
  problems: readonly ConfigProblem[];
  rules: RuleSummary[];
  /** What may be meant so: it is told and changes nothing. */
  warnings: ConfigProblem[];
}

/** Fields of a rule that say how and for whom it is judged, and not on what condition. */
const OTHER_FIELDS = 'name select for keep_firing_for gap severity labels annotations evaluate'.split(' ');

const COLUMN_TYPES: Readonly<Partial<Record<ValueType, ColumnType>>> = {
  [ValueType.DOUBLE]: 'double',
  [ValueType.BOOLEAN]: 'boolean',
  [ValueType.STRING]: 'string',
};

/**
 * Checks a file of rules, and its selections against the series that are known where somebody was asked for them. Throws a
 * `TributaryError` when the file cannot be read; what is wrong in it is answered.
 */
export async function checkRules(
  file: string,
  known: AsyncIterable<KnownSeries> | undefined,
  seriesMax: number,
): Promise<CheckResult> {
  let rules: CompiledRule[];
  try {
    rules = loadRules(file).map(compileRule);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file, problems: error.problems, rules: [], warnings: [] };
  }
  const document = documentOf(file);
  const checks = rules.map((rule, index) => new RuleCheck(rule, index));
  let seriesKnown = 0;
  for await (const series of known ?? []) {
    seriesKnown += 1;
    for (const check of checks) check.see(series);
  }
  const summaries = checks.map((check) => check.summary(document, known !== undefined));
  if (known === undefined) return { file, problems: [], rules: summaries, warnings: [] };
  if (seriesKnown === 0) {
    const message = 'no series is known yet, so nothing can be said of what the rules select';
    return { file, problems: [], rules: summaries, warnings: [{ line: 1, column: 1, field: '', message }] };
  }
  const warnings = checks.flatMap((check) => check.warnings(document, seriesMax));
  return { file, problems: [], rules: summaries, warnings };
}

/** Parsed once more: the rules do not know where they stood. */
function documentOf(file: string): YamlDocument {
  const parsed = parseYaml(readFileSync(file, 'utf8'));
  if ('problems' in parsed) throw new Error(`${file} was in order a moment ago`);
  return parsed.document;
}

/** One rule while the known series go by. */
class RuleCheck {
  readonly #rule: CompiledRule;
  readonly #path: (string | number)[];
  readonly #selections: { path: (string | number)[]; check: SelectorCheck }[];
  #series = 0;
  #devices = 0;
  #device = '';
  /** Selected series whose values it cannot judge. */
  #unfit = 0;

  constructor(rule: CompiledRule, index: number) {
    this.#rule = rule;
    this.#path = ['rules', index];
    this.#selections = selectionsOf(rule.rule, this.#path).map(({ path, select }) => {
      return { path, check: new SelectorCheck(select) };
    });
  }

  see(series: KnownSeries): void {
    for (const { check } of this.#selections) check.see(series);
    const { identity, attributes } = series;
    if (this.#rule.watchesDevice) {
      if (this.#rule.selectsDevice(identity, attributes)) this.#seeDevice(series);
      return;
    }
    if (!this.#rule.selects(identity, attributes)) return;
    const type = COLUMN_TYPES[series.type];
    if (type === undefined || !this.#rule.takes(type)) {
      this.#unfit += 1;
      return;
    }
    this.#series += 1;
    this.#seeDevice(series);
  }

  #seeDevice({ identity }: KnownSeries): void {
    // Series come device by device.
    const device = `${identity.tenant}/${identity.device}`;
    if (device !== this.#device) this.#devices += 1;
    this.#device = device;
  }

  summary(document: YamlDocument, isKnown: boolean): RuleSummary {
    const { rule, version, severity, authority } = this.#rule;
    const written = (document.value as { rules: Record<string, unknown>[] }).rules[this.#path[1] as number] ?? {};
    const condition = Object.fromEntries(Object.entries(written).filter(([field]) => !OTHER_FIELDS.includes(field)));
    const summary: RuleSummary = {
      rule: rule.name,
      version,
      severity,
      evaluate: authority,
      condition,
      select: written.select ?? {},
      for: typeof written.for === 'string' ? written.for : '0s',
    };
    return isKnown ? { ...summary, series: this.#series, devices: this.#devices } : summary;
  }

  warnings(document: YamlDocument, seriesMax: number): ConfigProblem[] {
    const at = (path: readonly (string | number)[], message: string): ConfigProblem => {
      return { ...document.locate(path, 'value'), field: fieldName(path), message };
    };
    const warnings = this.#selections.flatMap(({ path, check }) =>
      check.warnings().map((warning) => at([...path, ...warning.path], warning.message)),
    );
    if (this.#unfit > 0) {
      const message = `${this.#unfit} of the series that it selects have values that it cannot judge; they are not watched`;
      warnings.push(at([...this.#path, 'name'], message));
    }
    if (this.#series > seriesMax) {
      const message = `it watches ${this.#series} series, more than ${seriesMax}; select fewer, or raise --series-max`;
      warnings.push(at([...this.#path, 'name'], message));
    }
    return warnings;
  }
}

type Selection = { path: (string | number)[]; select: Select };

/** Every selection in a rule, its members' included. */
function selectionsOf(value: unknown, path: (string | number)[]): Selection[] {
  if (Array.isArray(value)) return value.flatMap((one: unknown, index) => selectionsOf(one, [...path, index]));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([field, one]: [string, unknown]): Selection[] => {
    if (field === 'labels' || field === 'annotations') return [];
    if (field === 'select') return one === undefined ? [] : [{ path: [...path, field], select: one as Select }];
    return selectionsOf(one, [...path, field]);
  });
}
