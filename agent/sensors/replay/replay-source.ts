import { createReadStream } from 'node:fs';
import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import { Backoff, type BackoffPolicy } from '@tributary/core/retry/backoff';
import { excerpt } from '../formats/excerpt.js';
import { type FieldConfig, LineStage } from '../formats/line-stage.js';
import { LineFramer } from '../framing/line-framer.js';
import type { Source, SourceHost } from '../source.js';
import { ReplayTime } from './replay-time.js';
import { TableReader } from './table-reader.js';

export interface ReplaySourceConfig {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** A CSV table. */
  path: string;
  fields?: Readonly<Record<string, FieldConfig>> | undefined;
  seriesMax: number;
  /** Whether rows come at their times, or as fast as they are taken. */
  paced: boolean;
  /** How many times faster than recorded. */
  speed: number;
  /** Whether it begins again at the end, its times shifted on. */
  loop: boolean;
  /** Whether times are moved to now, on the monotonic line, instead of being Unix time. */
  rebase: boolean;
}

export interface ReplaySourceDeps {
  scheduler: Scheduler;
  random: Random;
}

/** A file that is not there yet may come; looking is cheap. */
const REOPEN: BackoffPolicy = { baseMs: 500, capMs: 5000 };

/** A row of a table may have more columns than a device has fields: 4,096 columns of 16 characters. */
const LINE_BYTES_MAX = 65_536;

/** Rows that are due within this time of each other share a wake-up. */
const SLEEP_MS_MIN = 20;

/** Replays a table. It can wait, and does whenever what lies downstream is full; memory does not depend on the file. */
export class ReplaySource implements Source {
  readonly name: string;
  readonly #config: ReplaySourceConfig;
  readonly #host: SourceHost;
  readonly #deps: ReplaySourceDeps;
  readonly #stage: LineStage;
  readonly #table: TableReader;
  readonly #backoff: Backoff;
  #time: ReplayTime;
  /** When it is to wake up; undefined while it is not asleep. */
  #wakeAtMs: number | undefined;
  #running: { abort: AbortController; done: Promise<void> } | undefined;

  constructor(config: ReplaySourceConfig, host: SourceHost, deps: ReplaySourceDeps) {
    this.name = config.name;
    this.#config = config;
    this.#host = host;
    this.#deps = deps;
    const { labels, fields, seriesMax } = config;
    const sink = host.openGroup(config.rebase ? 'monotonic' : 'absolute');
    this.#stage = new LineStage({ sink, labels, fields, seriesMax });
    this.#table = new TableReader(this.#stage);
    this.#backoff = new Backoff(deps.random, REOPEN);
    this.#time = new ReplayTime(config.speed, config.rebase);
  }

  overdueMs(nowMs: number): number {
    return this.#wakeAtMs === undefined ? 0 : Math.max(0, nowMs - this.#wakeAtMs);
  }

  start(): void {
    if (this.#running !== undefined) return;
    const abort = new AbortController();
    this.#running = { abort, done: this.#run(abort.signal) };
  }

  async stop(): Promise<void> {
    this.#running?.abort.abort();
    await this.#running?.done;
    this.#running = undefined;
    this.#host.report({ state: 'stopped' });
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#time = new ReplayTime(this.#config.speed, this.#config.rebase);
    this.#host.report({ state: 'starting' });
    while (!signal.aborted) {
      const outcome = await this.#pass(signal);
      if (signal.aborted) return;
      if (outcome === 'ended' && !this.#config.loop) {
        this.#host.report({ state: 'finished' });
        return;
      }
      if (outcome === 'ended' && this.#time.endPass()) {
        this.#backoff.succeeded();
        continue;
      }
      const why = outcome === 'ended' ? 'no row could be read' : outcome;
      await this.#retryLater(`${this.#config.path}: ${why}`, signal);
    }
  }

  /** One pass over the file; answers why it could not be read. */
  async #pass(signal: AbortSignal): Promise<string> {
    const framer = new LineFramer({ lineBytesMax: LINE_BYTES_MAX });
    this.#table.restart();
    const stream = createReadStream(this.#config.path);
    stream.once('open', () => this.#host.report({ state: 'running' }));
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        const { lines, discards } = framer.decode(chunk);
        for (const { reason, bytes, continued } of discards) {
          if (!continued) this.#host.drop(reason, `${bytes} bytes`);
        }
        for (const line of lines) {
          const outcome = await this.#line(line, signal);
          if (outcome !== undefined) return outcome;
        }
      }
      const last = framer.rest();
      return (last === undefined ? undefined : await this.#line(last, signal)) ?? 'ended';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Takes one line of the file; an answer ends the pass. */
  async #line(line: Uint8Array, signal: AbortSignal): Promise<string | undefined> {
    const outcome = this.#table.parse(line);
    if (outcome === 'bad_header')
      return 'the first line is no header; it must begin with time_us, time_ms, time_s or time';
    if (outcome === 'header') return undefined;
    if (outcome !== 'row' && outcome !== 'blank') {
      this.#host.drop(outcome, excerpt(line));
      return undefined;
    }
    const nowUs = this.#host.monotonicUs();
    this.#time.row(this.#table.timeUs, nowUs);
    const { timeUs, dueUs } = this.#time;
    if (this.#config.paced && dueUs > nowUs) await this.#sleepUntil(dueUs, signal);
    const ready = this.#host.ready();
    if (ready !== undefined) await untilAborted(ready, signal);
    if (signal.aborted) return 'stopped';
    if (outcome === 'row') this.#stage.commit(timeUs);
    return undefined;
  }

  async #retryLater(why: string, signal: AbortSignal): Promise<void> {
    const retryInMs = this.#backoff.failed();
    this.#host.report({ state: 'waiting', why, retryInMs });
    await this.#sleep(retryInMs, signal);
  }

  async #sleepUntil(dueUs: number, signal: AbortSignal): Promise<void> {
    for (;;) {
      const remainingMs = (dueUs - this.#host.monotonicUs()) / 1000;
      if (remainingMs <= 0 || signal.aborted) return;
      await this.#sleep(Math.max(Math.ceil(remainingMs), SLEEP_MS_MIN), signal);
    }
  }

  #sleep(delayMs: number, signal: AbortSignal): Promise<void> {
    const { scheduler } = this.#deps;
    return new Promise<void>((resolve) => {
      const wake = () => {
        this.#wakeAtMs = undefined;
        cancel();
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wakeAtMs = scheduler.nowMs() + delayMs;
      const cancel = scheduler.setTimer(delayMs, wake);
      signal.addEventListener('abort', wake);
    });
  }
}

/** Resolves with `promise`, or earlier when the signal aborts; leaves no listener behind. */
function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve) => {
    const settle = () => {
      signal.removeEventListener('abort', settle);
      resolve();
    };
    signal.addEventListener('abort', settle);
    void promise.then(settle);
  });
}
