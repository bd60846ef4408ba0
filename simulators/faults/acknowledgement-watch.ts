import type { AgentStatus } from '@tributary/agent/health/agent-status';
import { Durations } from './durations.js';

/** Between two looks at the status: the resolution of what is measured. */
const LOOK_MS = 20;

/**
 * Measures how long after its commit to the buffer each item is acknowledged, by looking at the agent's status again and
 * again. What was never acknowledged while it watched is not in the figures.
 */
export class AcknowledgementWatch {
  readonly durations = new Durations();
  readonly #appendedMs = new Map<number, number>();
  #highest = -1;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(private readonly status: () => Promise<AgentStatus>) {
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const nowMs = performance.now();
    try {
      const { buffer } = await this.status();
      if (this.#highest < 0) this.#highest = buffer.highestSequence;
      for (; this.#highest < buffer.highestSequence; ) this.#appendedMs.set(++this.#highest, nowMs);
      const waitsFrom =
        buffer.items === 0 || buffer.oldestSequence === 0 ? buffer.highestSequence + 1 : buffer.oldestSequence;
      for (const [sequence, sinceMs] of this.#appendedMs) {
        if (sequence >= waitsFrom) break;
        this.durations.add(nowMs - sinceMs);
        this.#appendedMs.delete(sequence);
      }
    } catch {
      // It is stopping or starting; the next look tells.
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#look(), LOOK_MS);
  }
}
