/** Times that a row measured, for its figures and its bounds. */
export class Durations {
  readonly #ms: number[] = [];

  add(ms: number): void {
    this.#ms.push(ms);
  }

  get worstMs(): number {
    return Math.max(0, ...this.#ms);
  }

  /** The value below which `part` (0 to 1) of them lie. */
  quantileMs(part: number): number {
    const sorted = [...this.#ms].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  }

  /** `restarts p50 0.81 s, worst 1.10 s`. */
  text(what: string): string {
    return `${what} p50 ${seconds(this.quantileMs(0.5))}, worst ${seconds(this.worstMs)}`;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
