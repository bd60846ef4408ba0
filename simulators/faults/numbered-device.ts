import { Scene } from '../e2e/scene.js';
import { greatestWaiting, readDeadBuffer } from './dead-buffer.js';
import type { FaultCounts } from './fault.js';
import { NumberedReadings, type NumberedSource } from './numbered-readings.js';

/** Rows that a paced life may bring: longer than any life here. */
const LIFE_ROWS = 100_000;

/** Keeps what is stored for as long as the row runs: the ledger's times lie far back. */
export const KEEP_ALL = { retention: { readings: 'forever' } };

/** An agent of a scene that reads numbered rows, and the ledger of what it committed. */
export class NumberedDevice {
  readonly ledger: NumberedReadings;
  /** Readings that starts after a crash have counted as produced, whatever the crash took. */
  #bounded = 0;
  /** What the next one will count so, and what the disk says now. */
  #next = { bound: 0, produced: 0 };

  constructor(
    readonly scene: Scene,
    readonly name: string,
    readonly settings: Record<string, unknown> = {},
    stepUs = 1000,
  ) {
    this.ledger = new NumberedReadings(scene.rig.folder, name, stepUs);
  }

  get bufferPath(): string {
    const { buffer } = this.settings as { buffer?: { path?: string } };
    return buffer?.path ?? this.scene.rig.path(`${this.name}.db`);
  }

  /** Begins a life with a table of its own; resolves when it samples. Answers how long that took, in milliseconds. */
  async start(source: NumberedSource = this.ledger.next(LIFE_ROWS)): Promise<number> {
    const beginsMs = performance.now();
    await this.scene.agent(this.name, [source], this.settings);
    const ms = performance.now() - beginsMs;
    await this.scene.untilStatus(this.name, 'it answers', () => true);
    return ms;
  }

  /** SIGKILL; the ledger notes what its disk says that it had committed. */
  async kill(): Promise<void> {
    await this.scene.killAgent(this.name);
    this.note();
  }

  /** Notes what the buffer of the life that has just ended had committed. */
  note(): void {
    const { readingsProduced: produced, crashBound: bound } = readDeadBuffer(this.bufferPath);
    // A life that ended before its first transaction has counted nothing yet.
    if (produced > this.#next.produced) this.#bounded += this.#next.bound;
    this.#next = { bound, produced };
    this.ledger.committed(produced - this.#bounded);
  }

  /** The same where failing calls may have led to a new epoch, whose counters begin anew: by what lies in the buffer. */
  noteContents(): void {
    this.ledger.waiting(greatestWaiting(this.bufferPath, 'number'));
  }

  /** As {@link settle}, for lives that were noted by their contents; the audit must still balance. */
  async settleContents(): Promise<{ counts: FaultCounts; problems: string[] }> {
    await this.scene.stopAgent(this.name);
    this.noteContents();
    await this.scene.settle(this.name, this.settings);
    const { observer } = this.scene;
    const sums = await observer.sums(this.name);
    const { counts, problems } = this.ledger.compare(await observer.readings(this.name), 0);
    if (sums.stored !== counts.stored)
      problems.push(`audit says ${sums.stored} stored, and ${counts.stored} were found`);
    if (sums.missing !== 0) problems.push(`audit says ${sums.missing} missing`);
    if (sums.doubled !== 0) problems.push(`audit says ${sums.doubled} doubled`);
    return { counts, problems };
  }

  /** Ends the latest life in order, empties the buffer over a sound link, and compares. */
  async settle(): Promise<{ counts: FaultCounts; problems: string[] }> {
    await this.scene.stopAgent(this.name);
    this.note();
    await this.scene.settle(this.name, this.settings);
    return this.compare();
  }

  async compare(): Promise<{ counts: FaultCounts; problems: string[] }> {
    const { observer } = this.scene;
    const sums = await observer.sums(this.name);
    const { counts, problems } = this.ledger.compare(await observer.readings(this.name), sums.declared);
    // The product's own proof must agree with the ledger outside.
    // Whatever has emptied the buffer since the last note was a start, too.
    if (readDeadBuffer(this.bufferPath).readingsProduced > this.#next.produced) this.#bounded += this.#next.bound;
    const produced = counts.produced + sums.bounded;
    if (sums.produced !== produced) problems.push(`audit says ${sums.produced} produced, not ${produced}`);
    if (sums.bounded !== this.#bounded) {
      problems.push(`audit says that crashes took at most ${sums.bounded}, and ${this.#bounded} were written down`);
    }
    if (sums.stored !== counts.stored + counts.duplicates + counts.altered) {
      problems.push(`audit says ${sums.stored} stored, and ${counts.stored} were found`);
    }
    if (sums.missing !== counts.missing) problems.push(`audit says ${sums.missing} missing, not ${counts.missing}`);
    if (sums.doubled !== 0) problems.push(`audit says ${sums.doubled} doubled`);
    return { counts, problems };
  }
}

/** Runs a row in a scene with one numbered device, and ends all processes whatever happens. */
export async function withDevice<T>(
  name: string,
  act: (device: NumberedDevice, scene: Scene) => Promise<T>,
  options: { collector?: Record<string, unknown>; agent?: Record<string, unknown>; stepUs?: number } = {},
): Promise<T> {
  const scene = await Scene.open(name, () => ({ ...KEEP_ALL, ...options.collector }));
  let result: T;
  try {
    await scene.rig.device('device');
    result = await act(new NumberedDevice(scene, 'device', options.agent, options.stepUs), scene);
  } catch (error) {
    await scene.close().catch(() => {});
    throw error;
  }
  await scene.close();
  return result;
}
