import { TributaryError } from '@tributary/core/errors/tributary-error';
import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import { loadRules, type Rule } from '@tributary/core/rules/rule';
import type { Logger } from 'pino';
import type { Store } from '../store/store.js';
import { findUnmatched } from './unmatched-rules.js';

export interface RulesFileOptions {
  /** Undefined where the configuration names none. */
  path: string | undefined;
  store: Pick<Store, 'listDevices' | 'listSeries'>;
  /** Puts other rules in force, wherever they are evaluated. */
  use: (rules: readonly Rule[]) => void;
  logger: Logger;
}

/**
 * The file of rules while the collector runs. A file that is not in order changes nothing: the rules in force stay, and log,
 * metrics and readiness say so until a good one is read.
 */
export class RulesFile {
  problem: string | undefined;
  reloads = 0;
  reloadsFailed = 0;
  /** Rules in force that match nothing that is known. */
  unmatched = 0;
  readonly #options: RulesFileOptions;

  constructor(options: RulesFileOptions) {
    this.#options = options;
  }

  /** Reads the file again and puts its rules in force. */
  reload(): void {
    const { path, use, logger } = this.#options;
    if (path === undefined) return;
    let rules: Rule[];
    try {
      rules = loadRules(path);
    } catch (error) {
      const { message } = TributaryError.from(error);
      this.reloadsFailed += 1;
      this.problem = `the rules in force are older than ${path}, which is not in order: ${message}`;
      logger.error({ why: message }, 'the file of rules is not in order; the rules stay as they are');
      return;
    }
    use(rules);
    this.problem = undefined;
    this.reloads += 1;
    logger.info({ rules: rules.length }, 'other rules are in force');
    this.check(rules);
  }

  /** Looks in the background for rules that match nothing that is known, and warns of them. */
  check(rules: readonly Rule[]): void {
    void this.#warn(rules.map(compileRule)).catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'whether rules match anything could not be looked up');
    });
  }

  async #warn(rules: readonly CompiledRule[]): Promise<void> {
    const found = await findUnmatched(this.#options.store, rules);
    this.unmatched = found.length;
    for (const { rule, asked, nearest } of found) {
      this.#options.logger.warn({ rule, asked, nearest }, 'a rule matches nothing that is known');
    }
  }
}
