import { describe, expect, it } from 'vitest';
import { PipeEstimate, type PipeMark } from './pipe-estimate.js';
import { uplinkLimits } from './uplink-limits.js';

/** A link of so many bytes a millisecond, so long, and a collector that takes so long to commit. */
class Link {
  bytesPerMs: number;
  readonly pipe = new PipeEstimate(uplinkLimits);
  nowMs = 0;
  worstQueueMs = 0;
  bytes = 0;
  #freeMs = 0;
  readonly #underWay: { mark: PipeMark; bytes: number; atMs: number }[] = [];
  readonly #delayMs: number;

  constructor(bytesPerMs: number, roundTripMs: number, commitMs: number) {
    this.bytesPerMs = bytesPerMs;
    this.#delayMs = roundTripMs + commitMs;
    this.pipe.roundTrip(roundTripMs);
  }

  /** Sends whenever it may, for so long. */
  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    this.worstQueueMs = 0;
    this.bytes = 0;
    while (this.nowMs < endMs) {
      const underWay = () => this.#underWay.reduce((sum, { bytes }) => sum + bytes, 0);
      const bytes = this.pipe.backfillStreamBytes;
      while (
        this.#underWay.length < uplinkLimits.backfillStreamsMax &&
        (underWay() === 0 || underWay() + bytes <= this.pipe.underWayMax)
      ) {
        const mark = this.pipe.mark(this.nowMs, underWay());
        this.#freeMs = Math.max(this.#freeMs, this.nowMs) + bytes / this.bytesPerMs;
        this.worstQueueMs = Math.max(this.worstQueueMs, this.#freeMs - this.nowMs);
        this.#underWay.push({ mark, bytes, atMs: this.#freeMs + this.#delayMs });
      }
      const next = this.#underWay.shift()!;
      this.nowMs = next.atMs;
      this.bytes += next.bytes;
      this.pipe.arrived(next.mark, next.bytes, this.nowMs, true);
    }
  }
}

describe('the estimate of the pipe', () => {
  it('keeps a thin link busy, with a short queue in front of it', () => {
    const link = new Link(8, 300, 20);
    link.run(60_000);
    link.run(600_000);
    expect(link.bytes).toBeGreaterThan(0.95 * 8 * 600_000);
    // Now and then twice as much is tried.
    expect(link.worstQueueMs).toBeLessThan(5000);
  });

  it('fills a long wide pipe with streams of one window', () => {
    const link = new Link(10_000, 300, 20);
    link.run(60_000);
    expect(link.pipe.backfillStreamBytes).toBe(uplinkLimits.windowBytes);
    link.run(60_000);
    expect((link.bytes / 60_000) * 320).toBeGreaterThan(0.9 * 8 * uplinkLimits.windowBytes);
  });

  it('gives a short wide pipe full streams', () => {
    const link = new Link(10_000, 1, 10);
    link.run(10_000);
    expect(link.pipe.backfillStreamBytes).toBe(uplinkLimits.streamBytesMax);
  });

  it('does not take a slow store for a thin link for ever', () => {
    const link = new Link(10_000, 30, 5000);
    link.run(1_200_000);
    link.run(1_200_000);
    // Eight windows with each answer are 101 bytes a millisecond; the least that may be under way would be 3.
    expect(link.bytes / 1_200_000).toBeGreaterThan(80);
  });

  it('follows a link that gets slower', () => {
    const link = new Link(1000, 100, 10);
    link.run(30_000);
    expect(link.pipe.underWayMax).toBeGreaterThan(500_000);
    link.bytesPerMs = 8;
    link.run(300_000);
    link.run(600_000);
    expect(link.bytes).toBeGreaterThan(0.95 * 8 * 600_000);
    expect(link.worstQueueMs).toBeLessThan(5000);
  });

  it('learns nothing slow from a stream that had nothing more to carry', () => {
    const pipe = new PipeEstimate(uplinkLimits);
    pipe.arrived(pipe.mark(0, 0), 100_000, 1000, true);
    for (let i = 1; i < 20; i++) pipe.arrived(pipe.mark(i * 1000, 0), 10, i * 1000 + 500, false);
    expect(pipe.bytesPerSecond).toBe(100_000);
  });

  it('begins anew with a new connection', () => {
    const link = new Link(10_000, 1, 10);
    link.run(10_000);
    link.pipe.reset();
    expect(link.pipe.bytesPerSecond).toBeUndefined();
    expect(link.pipe.roundTripMs).toBeUndefined();
    expect(link.pipe.underWayMax).toBe(2 * uplinkLimits.backfillBytesUnderWayMin);
    expect(link.pipe.liveStreamBytes).toBe(uplinkLimits.liveStreamBytesFirst);
  });
});
