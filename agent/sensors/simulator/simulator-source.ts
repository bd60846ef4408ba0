import type { Scheduler } from '@tributary/core/clock/clock';
import { derivedSeed } from '../models/hashed-noise.js';
import { type PresetName, type PresetOverrides, presetModel, presetUnit } from '../models/presets.js';
import type { SensorModel } from '../models/sensor-model.js';
import type { RowSink, Source, SourceHost } from '../source.js';

export interface SimulatedSeriesConfig {
  name: string;
  model: PresetName;
  /** The preset's unit where absent. */
  unit?: string | undefined;
  labels?: Readonly<Record<string, string>> | undefined;
  parameters?: PresetOverrides | undefined;
}

export interface SimulatorSourceConfig {
  name: string;
  labels: Readonly<Record<string, string>>;
  intervalMs: number;
  seed: number;
  series: readonly SimulatedSeriesConfig[];
}

export interface SimulatorSourceDeps {
  scheduler: Scheduler;
}

/**
 * The shortest sleep. Timers are what costs: a thousand readings a second take six times the processor with a timer of 10 ms
 * than with one of a second. Faster series are made several rows at a time, each with its own time.
 */
const WAKE_MS_MIN = 200;

/** Rows that are made up for after a stall, at once, before the rest is skipped: 10 s at a hundred rows a second. */
const CATCH_UP_ROWS_MAX = 1000;

/** Simulated sensors that are read together: one row an interval, on the monotonic line. */
export class SimulatorSource implements Source {
  readonly name: string;
  readonly #host: SourceHost;
  readonly #scheduler: Scheduler;
  readonly #intervalUs: number;
  readonly #sink: RowSink;
  readonly #models: SensorModel[];
  readonly #indexes: number[];
  #nextUs = 0;
  #timer: { atMs: number; cancel: () => void } | undefined;

  constructor(config: SimulatorSourceConfig, host: SourceHost, { scheduler }: SimulatorSourceDeps) {
    this.name = config.name;
    this.#host = host;
    this.#scheduler = scheduler;
    this.#intervalUs = config.intervalMs * 1000;
    this.#sink = host.openGroup('monotonic');
    // The name is in the seed: two series of the same preset show different values.
    this.#models = config.series.map(({ name, model, parameters }) =>
      presetModel(model, derivedSeed(config.seed, name), parameters),
    );
    this.#indexes = config.series.map(({ name, model, unit = presetUnit(model), labels }, at) =>
      this.#sink.addSeries({ name, unit, labels: { ...config.labels, ...labels }, type: this.#models[at].type }),
    );
  }

  overdueMs(nowMs: number): number {
    return this.#timer === undefined ? 0 : Math.max(0, nowMs - this.#timer.atMs);
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#nextUs = this.#host.monotonicUs();
    this.#host.report({ state: 'running' });
    this.#wake();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#host.report({ state: 'stopped' });
    return Promise.resolve();
  }

  #wake(): void {
    const nowUs = this.#host.monotonicUs();
    let due = Math.floor((nowUs - this.#nextUs) / this.#intervalUs) + 1;
    if (due > CATCH_UP_ROWS_MAX) {
      const skipped = due - CATCH_UP_ROWS_MAX;
      this.#host.drop('rows_skipped', `${skipped} rows; the process was stalled`);
      this.#nextUs += skipped * this.#intervalUs;
      due = CATCH_UP_ROWS_MAX;
    }
    for (let row = 0; row < due; row += 1) {
      this.#row(this.#nextUs);
      this.#nextUs += this.#intervalUs;
    }
    // From the schedule, not from now, so that the rate does not drift.
    const sleepMs = Math.max(Math.ceil((this.#nextUs - nowUs) / 1000), WAKE_MS_MIN);
    const atMs = this.#scheduler.nowMs() + sleepMs;
    this.#timer = { atMs, cancel: this.#scheduler.setTimer(sleepMs, () => this.#wake()) };
  }

  #row(timeUs: number): void {
    const sink = this.#sink;
    sink.begin(timeUs);
    for (let at = 0; at < this.#models.length; at += 1) {
      const model = this.#models[at];
      const index = this.#indexes[at];
      switch (model.type) {
        case 'double': {
          const value = model.at(timeUs);
          if (value !== undefined) sink.number(index, value);
          break;
        }
        case 'boolean': {
          const value = model.at(timeUs);
          if (value !== undefined) sink.boolean(index, value);
          break;
        }
        case 'string': {
          const value = model.at(timeUs);
          if (value !== undefined) sink.string(index, value);
          break;
        }
      }
    }
    sink.end();
  }
}
