import type { CompiledRule } from '@tributary/core/rules/compiled-rule';

/**
 * Finds the rules that may be for a series of this name without asking each of them: most name one series exactly. A rule
 * whose pattern begins with a text is asked only for names that begin with the same characters, so that ten thousand rules
 * and a hundred thousand series make some hundred thousand questions and not a billion.
 */
export class RuleIndex {
  readonly rules: readonly CompiledRule[];
  /** Rules that watch devices, whatever their series. */
  readonly ofDevices: readonly CompiledRule[];
  readonly #byName = new Map<string, CompiledRule[]>();
  readonly #byPrefix = new Map<string, CompiledRule[]>();
  readonly #prefixLengths: number[] = [];
  readonly #order = new Map<CompiledRule, number>();

  constructor(rules: readonly CompiledRule[]) {
    this.rules = rules;
    this.ofDevices = rules.filter(({ watchesDevice }) => watchesDevice);
    for (const [at, rule] of rules.entries()) {
      this.#order.set(rule, at);
      if (rule.watchesDevice) continue;
      for (const pattern of namePatterns(rule)) this.#add(pattern, rule);
    }
  }

  /** Rules that may be for a series of this name, in the order of the file; each must still be asked. */
  candidates(name: string): readonly CompiledRule[] {
    const found = new Set<CompiledRule>(this.#byName.get(name));
    for (const length of this.#prefixLengths) {
      if (length > name.length) continue;
      for (const rule of this.#byPrefix.get(name.slice(0, length)) ?? []) found.add(rule);
    }
    return [...found].sort((a, b) => this.#order.get(a)! - this.#order.get(b)!);
  }

  #add(pattern: string, rule: CompiledRule): void {
    const wildcard = pattern.search(/[*?]/);
    const key = wildcard < 0 ? pattern : pattern.slice(0, wildcard);
    const index = wildcard < 0 ? this.#byName : this.#byPrefix;
    const rules = index.get(key);
    if (rules === undefined) index.set(key, [rule]);
    else if (rules.at(-1) !== rule) rules.push(rule);
    if (wildcard >= 0 && !this.#prefixLengths.includes(key.length)) this.#prefixLengths.push(key.length);
  }
}

/** The patterns of series names that a rule has, of its members too; `*` where one has none. */
export function namePatterns({ rule }: CompiledRule): string[] {
  const members = rule.all ?? rule.any;
  if (members === undefined) return [rule.select?.name ?? '*'];
  return [...new Set(members.map(({ select }) => select.name))];
}
