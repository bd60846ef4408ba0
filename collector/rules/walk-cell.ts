import type { ForwardReadings } from '@tributary/core/rules/forward';
import type { MergedReadings } from '@tributary/core/rules/merged-readings';
import type { Origin } from '@tributary/core/rules/origin';
import type { RuleInstance, Transition } from '@tributary/core/rules/rule-instance';
import { type CheckpointBody, saveIncident } from './checkpoint.js';
import { MergeBuffer } from './merge-buffer.js';
import type { Cell, OpenIncident } from './tracks.js';
import { found, inherited, type Truth } from './truth.js';

/** Readings are missing before an event time: all had come up to `leftUs`. */
export interface WalkBreak {
  atUs: number;
  leftUs: number;
}

/** One rule on a walk: an instance of the walk's own, and what it has found. */
export class WalkCell {
  readonly cell: Cell;
  readonly instance: RuleInstance;
  readonly truths: Truth[] = [];
  /** Of a rule over a device: the newest reading that it was shown. */
  timeUs = Number.NEGATIVE_INFINITY;

  readonly #merged = new MergeBuffer();
  readonly #out: Transition[] = [];

  constructor(cell: Cell, instance: RuleInstance) {
    this.cell = cell;
    this.instance = instance;
  }

  /** An incident fires where the walk begins. */
  inherit(incident: OpenIncident): void {
    this.truths.push(inherited(incident));
  }

  /** Shows readings of one series, strictly in order of time. */
  advance(readings: ForwardReadings, origin: Origin): void {
    if (readings.from < readings.count) {
      this.instance.advance(readings, origin, this.#out);
      this.#note();
    }
  }

  /** Gathers readings of a member for `releaseMerged`. */
  gather(member: number, readings: ForwardReadings, from: number, until: number, origin: Origin): void {
    this.#merged.add(member, readings, from, until, origin);
  }

  /** Shows what was gathered, in order of time, interrupted where readings are missing. */
  releaseMerged(breaks: readonly WalkBreak[]): void {
    const merged = this.#merged;
    merged.sort();
    let from = 0;
    for (const { atUs, leftUs } of breaks) {
      let until = from;
      while (until < merged.count && merged.timesUs[until]! < atUs) until += 1;
      this.#advanceMerged(merged, from, until);
      from = until;
      this.interrupt(leftUs, atUs);
    }
    this.#advanceMerged(merged, from, merged.count);
    merged.clear();
  }

  passTime(untilUs: number): void {
    this.instance.passTime(untilUs, this.#out);
    this.#note();
  }

  /** Readings are missing between two event times. */
  interrupt(leftUs: number, rightUs: number): void {
    if (this.cell.rule.watchesTime && Number.isFinite(leftUs)) this.passTime(leftUs);
    this.instance.interrupt();
    this.instance.resume(rightUs, this.#out);
    this.#note();
  }

  save(): CheckpointBody['cells'][number] {
    const { seriesId, rule } = this.cell;
    const open = this.truths.at(-1);
    const incident = open !== undefined && open.end === undefined ? open.incident : undefined;
    return {
      seriesId,
      rule: rule.name,
      saved: this.instance.save(),
      ...(incident !== undefined && { incident: saveIncident(incident) }),
      ...(Number.isFinite(this.timeUs) && { timeUs: this.timeUs }),
    };
  }

  #advanceMerged(merged: MergeBuffer, from: number, until: number): void {
    if (from === until) return;
    const view: MergedReadings = {
      count: until - from,
      timesUs: merged.timesUs.subarray(from, until),
      values: merged.values.subarray(from, until),
      member: merged.member.subarray(from, until),
      origins: merged.origins,
      originOf: merged.originOf.subarray(from, until),
      rows: merged.rows.subarray(from, until),
      texts: merged.texts,
    };
    this.instance.advanceMerged(view, this.#out);
    this.timeUs = merged.timesUs[until - 1]!;
    this.#note();
  }

  #note(): void {
    for (const transition of this.#out) {
      if (transition.to === 'firing') this.truths.push(found(this.cell, transition));
      else {
        const open = this.truths.at(-1);
        if (open !== undefined && open.end === undefined) open.end = transition;
      }
    }
    this.#out.length = 0;
  }
}
