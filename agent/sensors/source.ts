import type { ColumnType } from '@tributary/proto/batch/batch';

/** What a series is, as its source declares it. */
export interface SeriesSpec {
  /** 1 to 128 bytes, such as `temperature`. */
  name: string;
  /** UCUM code where there is one, such as `Cel`; may be empty. */
  unit: string;
  labels: Readonly<Record<string, string>>;
  type: ColumnType;
}

/** The line that a source's times are on: the device's monotonic clock, or Unix time that the source itself knows. */
export type TimeLine = 'monotonic' | 'absolute';

/**
 * Series that are read together. A poll is one row: `begin`, a value for each series that answered, `end`. Nothing is
 * allocated on the way.
 */
export interface RowSink {
  /** Adds a series to the group; the index is what the value calls take. Same spec, same index. */
  addSeries(spec: SeriesSpec): number;
  /** Starts a row. `timeUs` in microseconds on the group's line, an integer. */
  begin(timeUs: number): void;
  number(index: number, value: number): void;
  boolean(index: number, value: boolean): void;
  string(index: number, value: string): void;
  /** Ends the row: its readings count as produced from here. A row without values is dropped. */
  end(): void;
}

/** What a source is given by its host. */
export interface SourceHost {
  /** Microseconds on the device's monotonic line. */
  monotonicUs(): number;
  openGroup(line: TimeLine): RowSink;
  /**
   * Back-pressure. `undefined` means go on; a promise means that what lies downstream is full, and resolves when there
   * is room again. A source that can wait (a file) asks before each row; one that cannot (a serial device goes on
   * talking) does not ask, and what does not fit is dropped and counted further down.
   */
  ready(): Promise<void> | undefined;
  /** Something was not taken: a bounded set of reasons, counted in metrics and logged at a bounded rate. */
  drop(reason: string, detail: string): void;
  /** What the source does now, for status and health. */
  report(state: SourceState): void;
}

export type SourceState =
  | { state: 'starting' }
  | { state: 'running' }
  | { state: 'waiting'; why: string; retryInMs: number }
  | { state: 'finished' }
  | { state: 'stopped' };

/** Yields readings until it is stopped. A source never throws because of what its sensor does. */
export interface Source {
  readonly name: string;
  start(): void;
  stop(): Promise<void>;
  /**
   * Writes bytes to the device, where there is one that reads. Rejects with a `TributaryError` when it is not there, or has not
   * taken them within `timeoutMs`; nothing of them is written later.
   */
  write?(bytes: Uint8Array, timeoutMs: number): Promise<void>;
}
