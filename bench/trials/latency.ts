import { writeFileSync } from 'node:fs';
import { seededRandom } from '@tributary/core/clock/random';
import { VirtualBoard } from '@tributary/simulators/board/virtual-board';
import { Rig } from '@tributary/simulators/rig/rig';
import { until } from '@tributary/simulators/rig/until';
import { type Figures, numberOption, type Trial } from '../trial.js';

const DEVICE = 'latency';

/** Sensors of the board that cross the threshold independently, so that many crossings fit into a minute. */
const LANES = 5;
const LOW = 20;
const HIGH = 80;
const RULE = { name: 'high', select: { name: 'lane-*' }, above: 50 };

/** The board prints anyway, as a real one does: a crossing falls anywhere in the age of a batch. */
const LINE_INTERVAL_MS = 100;

/** A crossing begins up to so long after the last one was resolved, so that crossings do not follow the batches' beat. */
const PAUSE_MS_MAX = 1000;

const ALERT_MS_MAX = 30_000;

/** From a line that the virtual board prints, with a value above the threshold, to the alert in the agent's log. */
export const trial: Trial = {
  options: { age: "age at which the agent closes a batch, default the agent's own (1s)", n: 'crossings, default 100' },
  async run(options): Promise<Figures> {
    const n = numberOption(options, 'n', 100);
    const { age } = options;
    const rig = await Rig.create('latency');
    const link = rig.path('board');
    const names = Array.from({ length: LANES }, (_, at) => `lane-${at}`);
    const board = new VirtualBoard({
      series: names.map((name) => ({ name, model: { type: 'double', at: () => LOW } })),
      format: 'json',
      intervalMs: LINE_INTERVAL_MS,
      link,
      nowUs: () => Date.now() * 1000,
    });
    const alerts = new AlertWaiter();
    try {
      const rules = rig.path('rules.yaml');
      writeFileSync(rules, JSON.stringify({ rules: [RULE] }));
      const { port } = await rig.collector({ rules });
      await rig.device(DEVICE);
      board.plug();
      const source = { type: 'serial', name: 'board', path: link, format: 'json', firstLine: 'keep' };
      const batching = typeof age === 'string' ? { maxAge: age } : {};
      await rig.agent(DEVICE, port, { batching, sources: [source] }, { onLog: (line) => alerts.take(line) });
      // The first crossing of each waits for the connection and for cold code; it is not counted.
      const crossings = new Crossings(board, alerts);
      await Promise.all(names.map((name) => crossings.one(name)));
      crossings.latenciesMs.length = 0;
      const random = seededRandom(1);
      const lanes = names.map(async (name, lane) => {
        for (let at = lane; at < n; at += LANES) {
          await new Promise((resolve) => setTimeout(resolve, random() * PAUSE_MS_MAX));
          await crossings.one(name);
        }
      });
      await Promise.all(lanes);
      const sorted = crossings.latenciesMs.sort((a, b) => a - b);
      return { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
    } finally {
      board.unplug();
      await rig.close();
    }
  },
};

/** What the agent has logged of each series last, and when. */
class AlertWaiter {
  private readonly seen = new Map<string, number>();

  take(line: Record<string, unknown>): void {
    if (typeof line.alert !== 'number' || typeof line.msg !== 'string') return;
    this.seen.set(`${line.series} ${line.msg.slice(line.msg.lastIndexOf(' ') + 1)}`, performance.now());
  }

  /** When the series came into this state; forgets it. */
  async next(series: string, state: 'firing' | 'resolved'): Promise<number> {
    const key = `${series} ${state}`;
    await until(`an alert: ${key}`, () => this.seen.has(key), ALERT_MS_MAX);
    const atMs = this.seen.get(key)!;
    this.seen.delete(key);
    return atMs;
  }
}

class Crossings {
  readonly latenciesMs: number[] = [];

  constructor(
    private readonly board: VirtualBoard,
    private readonly alerts: AlertWaiter,
  ) {}

  /** Up over the threshold until the alert is there, and down again. */
  async one(series: string): Promise<void> {
    this.board.setValue(series, HIGH);
    const printedMs = performance.now();
    this.board.print();
    this.latenciesMs.push((await this.alerts.next(series, 'firing')) - printedMs);
    this.board.setValue(series, LOW);
    await this.alerts.next(series, 'resolved');
  }
}

/** The smallest value that this share of all does not exceed. */
function quantile(sorted: readonly number[], share: number): number {
  return Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]! * 10) / 10;
}
