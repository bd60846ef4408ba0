/** What the demo shows of one device. */
export interface DeviceView {
  name: string;
  source: string;
  produced: number;
  waiting: number;
  stored: number;
  link: string;
  alert: string;
}

export interface DemoView {
  elapsedS: number;
  cutOff: boolean;
  /** What comes next, for whoever watches. */
  next: string;
  devices: DeviceView[];
  /** Newest last. */
  events: string[];
}

const EVENT_LINES = 8;
const BAR_CELLS = 16;
/** Readings waiting that fill the bar: about what an outage of the demo's length leaves behind. */
const BAR_FULL_READINGS = 400;

const paint = (code: number, text: string) => `\u001b[${code}m${text}\u001b[0m`;
const green = (text: string) => paint(32, text);
const red = (text: string) => paint(31, text);
const yellow = (text: string) => paint(33, text);
const dim = (text: string) => paint(2, text);

function bar(waiting: number): string {
  const filled = Math.min(BAR_CELLS, Math.ceil((waiting / BAR_FULL_READINGS) * BAR_CELLS));
  const text = '█'.repeat(filled) + '·'.repeat(BAR_CELLS - filled);
  return filled === 0 ? dim(text) : yellow(text);
}

/** The lines of one picture. Colours are ANSI escape codes (ECMA-48). */
export function renderView(view: DemoView): string[] {
  const link = view.cutOff ? red('CUT OFF: the buffers keep everything') : green('up');
  const lines = [
    `Tributary demo  ${view.elapsedS.toFixed(0).padStart(3)} s   link to the collector: ${link}`,
    dim(view.next),
    '',
    dim(
      `${'device'.padEnd(12)}${'source'.padEnd(24)}${'read'.padStart(9)}  ${'in the buffer'.padEnd(BAR_CELLS + 8)}${'stored'.padStart(9)}   ${'uplink'.padEnd(14)}alert`,
    ),
  ];
  for (const device of view.devices) {
    const alert = device.alert.startsWith('firing') ? red(device.alert) : dim(device.alert);
    lines.push(
      `${device.name.padEnd(12)}${device.source.padEnd(24)}${String(device.produced).padStart(9)}  ${bar(device.waiting)}${String(device.waiting).padStart(7)} ${green(String(device.stored).padStart(9))}   ${device.link.padEnd(14)}${alert}`,
    );
  }
  lines.push('', dim('events'));
  const recent = view.events.slice(-EVENT_LINES);
  for (let i = 0; i < EVENT_LINES; i++) lines.push(recent[i] ?? '');
  return lines;
}

/**
 * Shows pictures one over the other on a terminal, or one line now and then where the output is no terminal.
 */
export class Screen {
  private drawnLines = 0;
  private lastPlainS = Number.NEGATIVE_INFINITY;
  private plainEvents = 0;

  constructor(
    private readonly out: NodeJS.WriteStream,
    private readonly plainEveryS = 5,
  ) {}

  draw(view: DemoView): void {
    if (!this.out.isTTY) {
      this.drawPlain(view);
      return;
    }
    const lines = renderView(view).map((line) => `${line}\u001b[K`);
    const up = this.drawnLines > 0 ? `\u001b[${this.drawnLines}A` : '';
    this.out.write(`${up}${lines.join('\n')}\n`);
    this.drawnLines = lines.length;
  }

  private drawPlain(view: DemoView): void {
    for (const event of view.events.slice(this.plainEvents)) this.out.write(`${event}\n`);
    this.plainEvents = view.events.length;
    if (view.elapsedS - this.lastPlainS < this.plainEveryS) return;
    this.lastPlainS = view.elapsedS;
    const devices = view.devices.map(
      (one) => `${one.name} read ${one.produced}, waiting ${one.waiting}, stored ${one.stored}`,
    );
    this.out.write(
      `${view.elapsedS.toFixed(0).padStart(4)} s  ${view.cutOff ? 'cut off' : 'up'}  ${devices.join(';  ')}\n`,
    );
  }
}
