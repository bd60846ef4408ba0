import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import type { ErrorCode } from '@tributary/core/errors/error-code';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { Backoff, type BackoffPolicy } from '@tributary/core/retry/backoff';
import { excerpt } from '../formats/excerpt.js';
import { type LineFormatConfig, LineReader } from '../formats/line-reader.js';
import type { FieldConfig } from '../formats/line-stage.js';
import { LineStage } from '../formats/line-stage.js';
import { type Discard, LineFramer } from '../framing/line-framer.js';
import type { Source, SourceHost } from '../source.js';
import type { OpenSerialPort, SerialBinding, SerialPortOptions } from './serial-binding.js';
import { SilenceWatch } from './silence-watch.js';

export interface SerialSourceConfig extends SerialPortOptions {
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Preferably below /dev/serial/by-id, where a device keeps its name. */
  path: string;
  format: LineFormatConfig;
  fields?: Readonly<Record<string, FieldConfig>> | undefined;
  seriesMax: number;
  lineBytesMax: number;
  /** Whether the line that is under way when the port opens is discarded. */
  discardFirstFragment: boolean;
  /** Silence after which the state says so; undefined where silence is normal. */
  expectWithinMs?: number | undefined;
}

export interface SerialSourceDeps {
  binding: SerialBinding;
  scheduler: Scheduler;
  random: Random;
}

/** A returning device is to be read again within five seconds, which leaves one for the presence check and the opening. */
const REOPEN: BackoffPolicy = { baseMs: 250, capMs: 4000 };

/** A driver that neither opens its device nor refuses it in this time is stuck. */
const OPEN_MS_MAX = 10_000;

/** The states of the port; each holds what it has to let go of. */
type PortState =
  | { state: 'idle' }
  | { state: 'opening'; untilMs: number }
  | { state: 'open'; port: OpenSerialPort; framer: LineFramer }
  | { state: 'waiting'; untilMs: number; cancel: () => void };

/**
 * Reads lines from a serial device, for as long as it runs, whatever the device does: it reopens after an unplug, drops
 * what is no good line by reason, and writes only what an alert's action asks for. A line's time is that of the chunk that
 * completed it.
 */
export class SerialSource implements Source {
  readonly name: string;
  readonly #config: SerialSourceConfig;
  readonly #host: SourceHost;
  readonly #deps: SerialSourceDeps;
  readonly #reader: LineReader;
  readonly #backoff: Backoff;
  #port: PortState = { state: 'idle' };
  /** Counts openings: what an earlier port still says is not heard. */
  #opening = 0;
  #firstOpening: Promise<void> | undefined;
  readonly #silence: SilenceWatch | undefined;

  constructor(config: SerialSourceConfig, host: SourceHost, deps: SerialSourceDeps) {
    this.name = config.name;
    this.#config = config;
    this.#host = host;
    this.#deps = deps;
    const { labels, fields, seriesMax } = config;
    this.#reader = new LineReader(
      config.format,
      new LineStage({ sink: host.openGroup('monotonic'), labels, fields, seriesMax }),
    );
    this.#backoff = new Backoff(deps.random, REOPEN);
    const { expectWithinMs } = config;
    if (expectWithinMs !== undefined) {
      this.#silence = new SilenceWatch(expectWithinMs, deps.scheduler, (silent) => {
        const why = `${config.path}: open, but no line for ${expectWithinMs} ms`;
        host.report(silent ? { state: 'waiting', why, retryInMs: 0 } : { state: 'running' });
      });
    }
  }

  overdueMs(nowMs: number): number {
    return 'untilMs' in this.#port ? Math.max(0, nowMs - this.#port.untilMs) : 0;
  }

  start(): void {
    if (this.#port.state !== 'idle') return;
    this.#host.report({ state: 'starting' });
    this.#open();
  }

  async stop(): Promise<void> {
    const port = this.#port;
    this.#leave();
    this.#port = { state: 'idle' };
    if (port.state === 'open') {
      this.#discarded(port.framer.end());
      await port.port.close();
    }
    this.#host.report({ state: 'stopped' });
  }

  /**
   * Writes to the device while its port is open. Where it is not, the write fails at once: a board that comes back minutes later
   * must not be told what mattered before. Only the very first opening is waited for.
   */
  async write(bytes: Uint8Array, timeoutMs: number): Promise<void> {
    let cancel = () => {};
    const late = new Promise<'late'>((resolve) => {
      cancel = this.#deps.scheduler.setTimer(timeoutMs, () => resolve('late'));
    });
    try {
      if (this.#port.state === 'opening' && this.#opening === 1) await Promise.race([this.#firstOpening, late]);
      const opening = this.#opening;
      if (this.#port.state !== 'open') throw this.#refusal('not-found', 'it is not open');
      const { port } = this.#port;
      const written = port.write(bytes).catch((error: Error) => {
        throw this.#refusal('not-found', error.message);
      });
      if ((await Promise.race([written, late])) !== 'late') return;
      written.catch(() => {});
      this.#giveUp(port, opening);
      throw this.#refusal('deadline', `the device has not taken what was written to it in ${timeoutMs} ms`);
    } finally {
      cancel();
    }
  }

  /** What the port holds would be written whenever the device reads again; only closing it takes that back. */
  #giveUp(port: OpenSerialPort, opening: number): void {
    void port.close().then(() => {
      if (opening === this.#opening) this.#failed('the device does not take what is written to it');
    });
  }

  #refusal(code: ErrorCode, what: string): TributaryError {
    return new TributaryError(code, `${this.#config.path}: ${what}`);
  }

  #open(): void {
    this.#opening += 1;
    const opening = this.#opening;
    this.#port = { state: 'opening', untilMs: this.#deps.scheduler.nowMs() + OPEN_MS_MAX };
    const { path, baudRate, dataBits, parity, stopBits, lineBytesMax, discardFirstFragment } = this.#config;
    const framer = new LineFramer({ lineBytesMax, discardFirstFragment });
    const handlers = {
      onData: (chunk: Uint8Array) => {
        if (opening === this.#opening) this.#data(framer, chunk);
      },
      onClose: (why: string) => {
        if (opening === this.#opening) this.#failed(why);
      },
    };
    const opened = this.#deps.binding.open(path, { baudRate, dataBits, parity, stopBits }, handlers).then(
      (port) => {
        if (opening !== this.#opening) {
          void port.close();
          return;
        }
        this.#port = { state: 'open', port, framer };
        this.#host.report({ state: 'running' });
        this.#silence?.heard();
      },
      (error: unknown) => {
        if (opening === this.#opening) this.#failed(error instanceof Error ? error.message : String(error));
      },
    );
    this.#firstOpening ??= opened;
  }

  /** The port could not be opened, or is gone. */
  #failed(why: string): void {
    if (this.#port.state === 'open') this.#discarded(this.#port.framer.end());
    this.#leave();
    const retryInMs = this.#backoff.failed();
    const { scheduler } = this.#deps;
    const untilMs = scheduler.nowMs() + retryInMs;
    this.#port = { state: 'waiting', untilMs, cancel: scheduler.setTimer(retryInMs, () => this.#open()) };
    this.#host.report({ state: 'waiting', why: `${this.#config.path}: ${why}`, retryInMs });
  }

  #leave(): void {
    if (this.#port.state === 'waiting') this.#port.cancel();
    this.#opening += 1;
    this.#silence?.stop();
  }

  #data(framer: LineFramer, chunk: Uint8Array): void {
    const timeUs = this.#host.monotonicUs();
    // A port that opens and gives nothing has not come back yet.
    this.#backoff.succeeded();
    const { lines, discards } = framer.decode(chunk);
    this.#discarded(discards);
    for (const line of lines) {
      const reason = this.#reader.read(line, timeUs);
      if (reason !== undefined) this.#host.drop(reason, excerpt(line));
    }
    if (lines.length > 0) this.#silence?.heard();
  }

  #discarded(discards: readonly Discard[]): void {
    for (const { reason, bytes, continued } of discards) {
      if (!continued) this.#host.drop(reason, `${bytes} bytes`);
    }
  }
}
