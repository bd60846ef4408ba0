import { presetModel } from '@tributary/agent/sensors/models/presets';
import { VirtualBoard } from '../board/virtual-board.js';
import { until } from '../rig/until.js';
import type { Scene } from './scene.js';

const WARM = 60;
const COLD = 20;

/** A board on a pseudo-terminal whose temperature a test sets, and what its agent received of the rule about it. */
export class AlertingBoard {
  /** JSON is YAML. */
  static readonly rules = JSON.stringify({
    rules: [{ name: 'too-warm', select: { name: 'temperature' }, above: 50, clear: 40 }],
  });

  readonly source: Record<string, unknown>;
  readonly #board: VirtualBoard;

  constructor(
    private readonly scene: Scene,
    private readonly device: string,
  ) {
    const link = scene.rig.path('tty');
    this.#board = new VirtualBoard({
      series: [{ name: 'temperature', model: presetModel('temperature', 1) }],
      format: 'json',
      intervalMs: 20,
      link,
      nowUs: () => 0,
    });
    this.#board.setValue('temperature', COLD);
    this.#board.plug();
    this.source = { type: 'serial', name: 'board', path: link, format: 'json' };
  }

  /** Numbers of the alerts that the agent has logged, as they came, over all its lives. */
  received(): number[] {
    return this.#alerts().map(({ alert }) => Number(alert));
  }

  heat(): void {
    this.#board.setValue('temperature', WARM);
  }

  /** Makes it hot, and waits until the agent has been told. */
  untilFiringAgain(): Promise<unknown> {
    this.heat();
    return this.#untilLast('firing');
  }

  /** Makes it cool, and waits until the agent has been told. */
  untilResolved(): Promise<unknown> {
    this.#board.setValue('temperature', COLD);
    return this.#untilLast('resolved');
  }

  /** What the agent has written to the board. */
  get heard(): string {
    return this.#board.heard;
  }

  unplug(): void {
    this.#board.unplug();
  }

  #alerts(): Record<string, unknown>[] {
    return this.scene.log(this.device).filter(({ msg }) => String(msg).startsWith('alert '));
  }

  #untilLast(state: string): Promise<unknown> {
    return until(`the last alert that came is ${state}`, () => {
      const last = this.#alerts().at(-1);
      return last !== undefined && String(last.msg).endsWith(state);
    });
  }
}
