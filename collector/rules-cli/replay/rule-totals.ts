import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { Reality } from './real-incidents.js';
import type { ReplayedIncident } from './replay-device.js';

/** What a replay found of one rule. */
export interface Totals {
  rule: string;
  version: string;
  severity: string;
  incidents: number;
  /** Of those, how many have not ended. */
  firingNow: number;
  /** Series that it fired on, of a rule over a device the devices. */
  series: number;
  /** Time in the replayed range in which it fired, of all series together. */
  firingSeconds: number;
  /** Of the incidents, how many people were really told of. */
  fired: number;
  /** How many stand in the history without anybody having been told. */
  late: number;
  /** Incidents that people were told of, and the replay did not find. */
  onlyReal: number;
}

/** Counts what a replay finds of one rule. */
export class RuleTotals {
  onlyReal = 0;
  readonly #rule: CompiledRule;
  readonly #fromUs: number;
  readonly #untilUs: number;
  #incidents = 0;
  #firingNow = 0;
  #series = 0;
  #firingUs = 0;
  #fired = 0;
  #late = 0;
  /** Series of the device that is replayed now: devices come one after another. */
  #device = '';
  readonly #seriesOfDevice = new Set<string>();

  constructor(rule: CompiledRule, fromUs: number, untilUs: number) {
    this.#rule = rule;
    this.#fromUs = fromUs;
    this.#untilUs = untilUs;
  }

  add(device: string, { series, firedUs, endedUs }: ReplayedIncident, really: Reality | undefined): void {
    this.#incidents += 1;
    if (endedUs === undefined) this.#firingNow += 1;
    this.#firingUs += Math.max(0, Math.min(endedUs ?? this.#untilUs, this.#untilUs) - Math.max(firedUs, this.#fromUs));
    if (really === 'same' || really === 'overlaps') this.#fired += 1;
    if (really === 'late') this.#late += 1;
    if (device !== this.#device) this.#seriesOfDevice.clear();
    this.#device = device;
    const { name, unit, labels } = series;
    const key = this.#rule.scope === 'device' ? '' : JSON.stringify([name, unit, Object.entries(labels).sort()]);
    if (!this.#seriesOfDevice.has(key)) this.#series += 1;
    this.#seriesOfDevice.add(key);
  }

  totals(): Totals {
    const { name: rule, version, severity } = this.#rule;
    return {
      rule,
      version,
      severity,
      incidents: this.#incidents,
      firingNow: this.#firingNow,
      series: this.#series,
      firingSeconds: this.#firingUs / 1e6,
      fired: this.#fired,
      late: this.#late,
      onlyReal: this.onlyReal,
    };
  }
}
