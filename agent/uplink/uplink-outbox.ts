import type { UplinkEffect } from './uplink-events.js';

/** What one step of the uplink collects: the time that it is, the effects so far, and numbers that are never used twice. */
export class UplinkOutbox {
  nowMs = 0;
  #effects: UplinkEffect[] = [];
  #lastId = 0;

  begin(nowMs: number): void {
    this.nowMs = nowMs;
    this.#effects = [];
  }

  get effects(): UplinkEffect[] {
    return this.#effects;
  }

  id(): number {
    return ++this.#lastId;
  }

  effect(effect: UplinkEffect): void {
    this.#effects.push(effect);
  }

  log(level: 'info' | 'warn' | 'error', message: string, fields: Record<string, string | number>): void {
    this.#effects.push({ type: 'log', level, message, fields });
  }
}
