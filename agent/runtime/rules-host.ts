import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Buffer as EdgeBuffer, EncodedBatch, RuleNote } from '../buffer/buffer.js';
import type { DeviceRules, DeviceRulesDeps } from '../rules/device-rules.js';
import type { RulesStatus } from '../rules/rules-status.js';
import type { JudgingRecord, JudgingWriter } from './batch-writer.js';
import { type DiskPatience, whenTheDiskTakes } from './disk-patience.js';

/** Written as a number, because the generated enumeration would load gRPC. */
const transition: ItemKind.TRANSITION = 3;

export interface RulesHostDeps extends DeviceRulesDeps {
  buffer: Pick<EdgeBuffer, 'ruleNotes'>;
}

/**
 * The place of the device's own rules in an agent. Their code is loaded when there are some, so a device without rules pays
 * nothing for them.
 */
export class RulesHost implements JudgingWriter {
  readonly #deps: RulesHostDeps;
  #rules: DeviceRules | undefined;
  #loading: Promise<DeviceRules> | undefined;
  #isLinked = false;
  #takesTransitions = true;

  constructor(deps: RulesHostDeps) {
    this.#deps = deps;
  }

  /** The version of the rules that run; empty for none. */
  get version(): string {
    return this.#rules?.version ?? '';
  }

  /** Undefined while there are no rules. */
  get status(): RulesStatus | undefined {
    return this.#rules?.status;
  }

  /**
   * Takes up what an earlier start has left in the buffer, waiting for a disk that refuses. Never rejects: where it cannot be
   * had, the collector sends the rules again.
   */
  async load(patience: DiskPatience, signal: AbortSignal, refused: () => void): Promise<void> {
    try {
      const notes = await whenTheDiskTakes(() => this.#deps.buffer.ruleNotes(), patience, signal, refused);
      if (notes.length > 0) await this.#start(notes);
    } catch (thrown) {
      if (signal.aborted) return;
      const details = TributaryError.from(thrown).message;
      this.#deps.log.error({ details }, 'rules of this device cannot be read; they run once the collector sends them');
    }
  }

  /** A collector has answered Register. */
  registered({ rules, itemKinds }: Pick<RegisterResponse, 'rules' | 'itemKinds'>): void {
    this.#takesTransitions = itemKinds.includes(transition);
    this.#rules?.registered(this.#takesTransitions);
    if (rules === undefined || rules.version === this.version) return;
    if (this.#rules !== undefined) this.#rules.update(rules.version, rules.text);
    else {
      this.#start([]).then(
        (started) => started.update(rules.version, rules.text),
        (thrown: unknown) => this.#deps.log.error({ err: thrown }, 'the rules of this device cannot be loaded'),
      );
    }
  }

  linked(isLinked: boolean): void {
    this.#isLinked = isLinked;
    this.#rules?.linked(isLinked);
  }

  writtenUntil(us: number): void {
    this.#rules?.writtenUntil(us);
  }

  judge(batches: readonly EncodedBatch[], sequences: readonly number[]): void {
    this.#rules?.judge(batches, sequences);
  }

  take(): JudgingRecord | undefined {
    return this.#rules?.take();
  }

  written(): void {
    this.#rules?.written();
  }

  finish(): void {
    this.#rules?.finish();
  }

  async settled(): Promise<void> {
    await this.#rules?.settled();
  }

  async #start(notes: readonly RuleNote[]): Promise<DeviceRules> {
    if (this.#rules !== undefined) return this.#rules;
    this.#loading ??= import('../rules/device-rules.js').then(({ DeviceRules }) => {
      this.#rules = new DeviceRules(notes, this.#deps);
      this.#rules.registered(this.#takesTransitions);
      this.#rules.linked(this.#isLinked);
      return this.#rules;
    });
    return this.#loading;
  }
}
