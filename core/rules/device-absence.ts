import { type Durations, Signal } from './lifecycle.js';
import { LivingInstance } from './living-instance.js';
import type { Phase } from './phase.js';
import type { RuleInstance, Transition } from './rule-instance.js';
import type { SavedInstance } from './saved-instance.js';
import type { SeriesIdentity } from './series-identity.js';

/** `absent` of a device, made ready: one for all devices. */
export interface DeviceAbsenceRule {
  version: string;
  durations: Durations;
  absentUs: number;
}

/** No reading is behind this: the onset is told by the time alone at which the device was last heard of. */
const NO_EPOCH = '0'.repeat(32);

/**
 * Nothing was heard of a device for a time, by the clock of the collector: no upload, no heartbeat, no registration. There
 * is nothing that could come late, so it is never history. `lastUs` is when the device was last heard of.
 */
export class DeviceAbsence extends LivingInstance implements RuleInstance {
  readonly #rule: DeviceAbsenceRule;
  readonly #device: SeriesIdentity;

  constructor(rule: DeviceAbsenceRule, device: SeriesIdentity, saved?: SavedInstance) {
    super(rule.durations, saved);
    this.#rule = rule;
    this.#device = device;
  }

  get dueUs(): number {
    // Once it fires, only the device ends it; silence again while it is clearing takes that back.
    const silent = this.life.phase === 'inactive' || this.life.clearing;
    return silent && this.lastUs !== Number.NEGATIVE_INFINITY ? this.lastUs + this.#rule.absentUs : Infinity;
  }

  heard(atUs: number, out: Transition[]): void {
    // A wall clock may step back: what was heard was heard.
    if (atUs <= this.lastUs) return;
    // What was due before and has not been told is not: others may have heard it meanwhile, and it is over.
    this.lastUs = atUs;
    if (this.life.phase === 'inactive') return;
    this.#step(Signal.CLEAR, atUs, out);
  }

  passTime(untilUs: number, out: Transition[]): void {
    const { dueUs } = this;
    if (dueUs > untilUs) return;
    if (this.life.phase === 'inactive') {
      this.life.begin({ epoch: NO_EPOCH, sequence: 0, row: 0, gridUs: this.lastUs }, this.lastUs);
    }
    this.#step(Signal.SATISFIED, dueUs, out);
  }

  advance(): void {
    throw new RangeError('a rule that watches devices takes no readings');
  }

  advanceMerged(): void {
    throw new RangeError('a rule that watches devices takes no readings');
  }

  interrupt(): void {}

  resume(): void {}

  statusAt(): Phase {
    return this.life.phase;
  }

  save(): SavedInstance {
    return this.life.save(this.#rule.version, this.lastUs);
  }

  #step(signal: Signal, atUs: number, out: Transition[]): void {
    this.revision += 1;
    this.tell(this.life.step(signal, atUs), atUs, Number.NaN, this.#device, out);
  }
}
