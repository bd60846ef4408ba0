import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock, systemScheduler } from './clock.js';

afterEach(() => {
  vi.useRealTimers();
});

describe("the system's clock", () => {
  it('gives whole microseconds, monotonic ones never going back', () => {
    let previous = systemClock.monotonicUs();
    for (let round = 0; round < 1000; round += 1) {
      const now = systemClock.monotonicUs();
      expect(Number.isSafeInteger(now)).toBe(true);
      expect(now).toBeGreaterThanOrEqual(previous);
      previous = now;
    }
    expect(Math.abs(systemClock.wallUs() - Date.now() * 1000)).toBeLessThan(1_000_000);
  });
});

describe("the system's scheduler", () => {
  it('fires after the delay, also beyond what a timeout can hold, and not when cancelled', () => {
    vi.useFakeTimers();
    const fired: string[] = [];
    systemScheduler.setTimer(100, () => fired.push('short'));
    systemScheduler.setTimer(2 ** 31 + 5000, () => fired.push('long'));
    const cancel = systemScheduler.setTimer(100, () => fired.push('cancelled'));
    const cancelLate = systemScheduler.setTimer(2 ** 32, () => fired.push('cancelled late'));
    cancel();
    vi.advanceTimersByTime(99);
    expect(fired).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(fired).toEqual(['short']);
    vi.advanceTimersByTime(2 ** 31 + 4899);
    expect(fired).toEqual(['short']);
    cancelLate();
    vi.advanceTimersByTime(1);
    expect(fired).toEqual(['short', 'long']);
    vi.advanceTimersByTime(2 ** 32);
    expect(fired).toEqual(['short', 'long']);
  });
});
