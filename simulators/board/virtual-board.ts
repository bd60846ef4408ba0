import { renameSync, rmSync, symlinkSync } from 'node:fs';
import type { SensorModel } from '@tributary/agent/sensors/models/sensor-model';
import { PseudoTerminal } from './pseudo-terminal.js';

export interface BoardSeries {
  name: string;
  model: SensorModel;
}

export interface VirtualBoardOptions {
  series: readonly BoardSeries[];
  format: 'json' | 'csv' | 'key-value';
  intervalMs: number;
  /** A stable path for the port, like those below /dev/serial/by-id; it is moved when the board is plugged in again. */
  link: string;
  /** Microseconds since the Unix epoch, for the models. */
  nowUs: () => number;
}

type Value = number | boolean | string;

/**
 * A microcontroller board that prints a line of sensor values at an interval, on a real pseudo-terminal. It can be
 * unplugged and plugged in again, and made to print garbage.
 */
export class VirtualBoard {
  private terminal: PseudoTerminal | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly overrides = new Map<string, Value>();
  private printed = 0;
  private taken = '';

  constructor(private readonly options: VirtualBoardOptions) {}

  /** What was written to it, as text, over all the times that it was plugged in. */
  get heard(): string {
    return this.taken;
  }

  /** Lines that the port has taken so far; readings are this times the series that answered. */
  get lines(): number {
    return this.printed;
  }

  /** Makes the port appear at its path, and starts printing. */
  plug(): void {
    if (this.terminal !== undefined) return;
    this.terminal = new PseudoTerminal();
    this.terminal.onData((bytes) => {
      this.taken += bytes.toString();
    });
    const fresh = `${this.options.link}.new`;
    rmSync(fresh, { force: true });
    symlinkSync(this.terminal.path, fresh);
    renameSync(fresh, this.options.link);
    this.timer = setInterval(() => this.print(), this.options.intervalMs);
  }

  /** Hangs up, and the path is gone. */
  unplug(): void {
    clearInterval(this.timer);
    this.terminal?.close();
    this.terminal = undefined;
    rmSync(this.options.link, { force: true });
  }

  /** Shows this value instead of the model's, until it is given back by undefined. */
  setValue(name: string, value: Value | undefined): void {
    if (value === undefined) this.overrides.delete(name);
    else this.overrides.set(name, value);
  }

  /** Prints a line now, besides those at the interval. As with any board, it is lost where nobody reads for long. */
  print(): void {
    if (this.terminal?.offer(Buffer.from(this.line())) === true) this.printed++;
  }

  /** Writes bytes as they are: noise, half a line, a line without an end. */
  garbage(bytes: Buffer | string): void {
    this.terminal?.write(bytes);
  }

  private line(): string {
    const nowUs = this.options.nowUs();
    const cells: [string, Value][] = [];
    for (const { name, model } of this.options.series) {
      const value = this.overrides.get(name) ?? model.at(nowUs);
      if (value !== undefined) cells.push([name, value]);
      else if (this.options.format === 'csv') cells.push([name, '']);
    }
    switch (this.options.format) {
      case 'json':
        return `${JSON.stringify(Object.fromEntries(cells))}\n`;
      case 'csv':
        return `${cells.map(([, value]) => value).join(',')}\n`;
      case 'key-value':
        return `${cells.map(([name, value]) => `${name}=${value}`).join(' ')}\n`;
    }
  }
}
