import { createHash } from 'node:crypto';
import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import type { Rule } from '@tributary/core/rules/rule';
import { rulesText } from '@tributary/core/rules/rule-text';
import type { DeviceRules as RulesMessage } from '@tributary/proto/gen/tributary/v1/device';
import type { DeviceName } from '../store/store.js';

/**
 * What one device is sent at the most: devices take no more, and the answer to Register has room for it. Some thousand rules;
 * those at the end of the file are left out beyond it, which is counted and logged.
 */
export const DEVICE_RULES_BYTES_MAX = 256 * 1024;

/** Devices that are looked at in one turn of the event loop when rules change: a millisecond or two. */
const DEVICES_PER_TURN = 256;

type Attributes = Readonly<Record<string, string>>;

interface KnownDevice {
  name: DeviceName;
  attributes: Attributes;
  /** The version that it has, or was sent. */
  version: string;
}

export interface DeviceRulesOptions {
  /** Registrations that are remembered; as many as ingest keeps. */
  devicesMax: number;
  /** A device that watches is to be told that it has other rules now. */
  changed(deviceId: number, version: string): void;
  /** Rules of a device go beyond the limit. */
  tooLarge(rulesLeftOut: number): void;
}

const NO_RULES: RulesMessage = { version: '', text: '' };

/** Which rules each device evaluates by itself, as text with its version. */
export class DeviceRules {
  readonly #options: DeviceRulesOptions;
  #rules: readonly CompiledRule[] = [];
  /** By which of the rules are in it: fleets are alike. */
  #messages = new Map<string, RulesMessage>();
  readonly #known = new Map<number, KnownDevice>();
  #updates = 0;

  constructor(rules: readonly Rule[], options: DeviceRulesOptions) {
    this.#options = options;
    this.#take(rules);
  }

  /** Rules that devices evaluate. */
  get size(): number {
    return this.#rules.length;
  }

  /**
   * Takes other rules. Devices that are connected, and whose own rules are others now, are told; `changed` is called in later
   * turns of the event loop where there are many devices. Resolves when all have been looked at.
   */
  async update(rules: readonly Rule[]): Promise<void> {
    this.#take(rules);
    const update = ++this.#updates;
    let looked = 0;
    for (const [deviceId, known] of this.#known) {
      const { version } = this.#messageFor(known.name, known.attributes);
      if (version !== known.version) this.#options.changed(deviceId, version);
      if (++looked % DEVICES_PER_TURN !== 0) continue;
      await new Promise((resolve) => setImmediate(resolve));
      if (update !== this.#updates) return;
    }
  }

  /** What a device that registers is answered; undefined where it has these rules already. */
  registered(deviceId: number, name: DeviceName, attributes: Attributes, hasVersion: string): RulesMessage | undefined {
    const message = this.#messageFor(name, attributes);
    this.#known.delete(deviceId);
    this.#known.set(deviceId, { name, attributes: { ...attributes }, version: message.version });
    if (this.#known.size > this.#options.devicesMax) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest!);
    }
    return message.version === hasVersion ? undefined : message;
  }

  /**
   * The version that a device is to have, where it is another than it was sent; undefined where that is in order. To be asked
   * when it begins to watch: what changed before that was told to nobody.
   */
  changedFor(deviceId: number): string | undefined {
    const known = this.#known.get(deviceId);
    if (known === undefined) return undefined;
    const { version } = this.#messageFor(known.name, known.attributes);
    return version === known.version ? undefined : version;
  }

  #take(rules: readonly Rule[]): void {
    this.#rules = rules.filter((rule) => rule.evaluate === 'device').map(compileRule);
    this.#messages = new Map();
  }

  #messageFor({ device }: DeviceName, attributes: Attributes): RulesMessage {
    const indexes: number[] = [];
    for (const [index, rule] of this.#rules.entries()) {
      if (rule.selectsDevice({ device }, attributes)) indexes.push(index);
    }
    const key = indexes.join();
    let message = this.#messages.get(key);
    if (message === undefined) {
      message = this.#write(indexes.map((index) => this.#rules[index]!.rule));
      this.#messages.set(key, message);
    }
    return message;
  }

  #write(rules: readonly Rule[]): RulesMessage {
    let taken = rules.length;
    let text = rulesText(rules);
    while (Buffer.byteLength(text) > DEVICE_RULES_BYTES_MAX) {
      taken = Math.min(taken - 1, Math.floor((taken * DEVICE_RULES_BYTES_MAX) / Buffer.byteLength(text)));
      text = rulesText(rules.slice(0, taken));
    }
    if (taken < rules.length) this.#options.tooLarge(rules.length - taken);
    if (text === '') return NO_RULES;
    // 64 bits: a version is compared with a device's former one only, and read by people.
    return { version: createHash('sha256').update(text).digest('hex').slice(0, 16), text };
  }
}
