import { parseYaml } from '@tributary/core/config/yaml-document';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';

/** A rule that this agent cannot judge, as a later collector may send. */
export interface RefusedRule {
  name: string;
  why: string;
}

export interface RuleSet {
  rules: CompiledRule[];
  refused: RefusedRule[];
}

/** What a collector may send at most: some thousand rules. It is held twice in memory and once on the disk. */
export const RULES_BYTES_MAX = 256 * 1024;

const FILE = 'rules of the collector';

/**
 * Compiles a text of rules, each by itself: one that asks for what this version does not know is refused, and the others
 * run. Throws a `TributaryError` where the text as a whole cannot be read.
 */
export function compileRuleSet(text: string): RuleSet {
  const set: RuleSet = { rules: [], refused: [] };
  if (text === '') return set;
  const bytes = Buffer.byteLength(text);
  if (bytes > RULES_BYTES_MAX) {
    throw new TributaryError('config', `${FILE}: ${bytes} bytes; at most ${RULES_BYTES_MAX} are taken`);
  }
  for (const raw of rulesOf(text)) {
    try {
      // JSON is YAML.
      const [rule] = parseRules(JSON.stringify({ rules: [raw] }), FILE);
      if (rule === undefined) continue;
      const compiled = compileRule(rule);
      if (compiled.watchesDevice) {
        set.refused.push({ name: rule.name, why: 'a device cannot tell that it is absent' });
      } else set.rules.push(compiled);
    } catch (thrown) {
      set.refused.push({ name: nameOf(raw), why: TributaryError.from(thrown).message });
    }
  }
  return set;
}

function rulesOf(text: string): unknown[] {
  const parsed = parseYaml(text);
  const value = 'problems' in parsed ? undefined : parsed.document.value;
  const rules = (value as { rules?: unknown } | null | undefined)?.rules;
  if (!Array.isArray(rules)) throw new TributaryError('config', `${FILE}: they cannot be read as a list of rules`);
  return rules;
}

function nameOf(raw: unknown): string {
  const name = (raw as { name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name.slice(0, 128) : 'a rule without a name';
}
