import type { RowSink, SeriesSpec, SourceHost, SourceState, TimeLine } from './source.js';

type Value = number | boolean | string;

export interface RecordedRow {
  timeUs: number;
  values: Record<string, Value>;
}

/** A sink that keeps what it is given as plain objects, for tests and for looking at a source by hand. */
export class RecordingSink implements RowSink {
  readonly series: SeriesSpec[] = [];
  readonly rows: RecordedRow[] = [];
  #row: RecordedRow = { timeUs: 0, values: {} };

  addSeries(spec: SeriesSpec): number {
    return this.series.push(spec) - 1;
  }

  begin(timeUs: number): void {
    this.#row = { timeUs, values: {} };
  }

  number(index: number, value: number): void {
    this.#set(index, value);
  }

  boolean(index: number, value: boolean): void {
    this.#set(index, value);
  }

  string(index: number, value: string): void {
    this.#set(index, value);
  }

  end(): void {
    if (Object.keys(this.#row.values).length > 0) this.rows.push(this.#row);
  }

  #set(index: number, value: Value): void {
    this.#row.values[this.series[index].name] = value;
  }
}

/** A host that keeps what its source does, with a clock that is set by hand. */
export class RecordingHost implements SourceHost {
  nowUs = 0;
  readonly sinks: { line: TimeLine; sink: RecordingSink }[] = [];
  readonly drops: { reason: string; detail: string }[] = [];
  readonly states: SourceState[] = [];
  /** Called with each state, for tests that wait for one. */
  onState: ((state: SourceState) => void) | undefined;
  /** What `ready` answers. */
  blocked: (() => Promise<void> | undefined) | undefined;

  monotonicUs(): number {
    return this.nowUs;
  }

  openGroup(line: TimeLine): RowSink {
    const sink = new RecordingSink();
    this.sinks.push({ line, sink });
    return sink;
  }

  ready(): Promise<void> | undefined {
    return this.blocked?.();
  }

  drop(reason: string, detail: string): void {
    this.drops.push({ reason, detail });
  }

  report(state: SourceState): void {
    this.states.push(state);
    this.onState?.(state);
  }

  /** All rows of all groups, group after group. */
  get rows(): RecordedRow[] {
    return this.sinks.flatMap(({ sink }) => sink.rows);
  }

  /** The reasons of all drops, in order. */
  get reasons(): string[] {
    return this.drops.map(({ reason }) => reason);
  }
}
