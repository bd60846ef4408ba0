import { type MemorySample, type MemorySlope, memorySlope } from './memory-slope.js';
import { openDescriptors, residentBytes } from './process-figures.js';

const LOOK_MS = 5000;

/** Long enough that each has a full collection of the heap. */
const WINDOW_MS = 120_000;

/** Connections that a fault leaves half-closed when the figures are taken. */
const DESCRIPTORS_SPARE = 4;

/** Memory and descriptors of a process that lives through a soak. */
export class SoakWatch {
  readonly #memory: MemorySample[] = [];
  readonly #descriptors: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly name: string,
    private readonly pid: number,
  ) {}

  start(): void {
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What is wrong with it: memory that grows by more than `bytesAnHourMax`, or descriptors that become more. */
  problems(bytesAnHourMax: number): string[] {
    const problems: string[] = [];
    const slope = this.#slope;
    if (slope !== undefined && slope.bytes > bytesAnHourMax) {
      problems.push(`the ${this.name} grows by ${slopeText(slope)}; at most ${megabytes(bytesAnHourMax)}`);
    }
    const { first, last } = this.#quarters();
    if (last > first + DESCRIPTORS_SPARE) problems.push(`the ${this.name} had ${first} descriptors, and then ${last}`);
    return problems;
  }

  text(): string {
    const { first, last } = this.#quarters();
    const slope = this.#slope === undefined ? 'too short for a slope' : slopeText(this.#slope);
    return `${this.name} ${megabytes(this.#memory.at(-1)?.bytes ?? 0)} MB, ${slope}, descriptors ${first} to ${last}`;
  }

  get #slope(): MemorySlope | undefined {
    return memorySlope(this.#memory, WINDOW_MS);
  }

  /** The middle number of descriptors in the first and in the last quarter of the looks. */
  #quarters(): { first: number; last: number } {
    const size = Math.ceil(this.#descriptors.length / 4);
    return { first: median(this.#descriptors.slice(0, size)), last: median(this.#descriptors.slice(-size)) };
  }

  #look(): void {
    try {
      this.#memory.push({ atMs: performance.now(), bytes: residentBytes(this.pid) });
      this.#descriptors.push(openDescriptors(this.pid));
    } catch {
      // It ended; whoever started it says so.
      this.stop();
    }
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

function slopeText({ bytes, error }: MemorySlope): string {
  return `${megabytes(bytes)} +- ${megabytes(error)} MB/h`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
