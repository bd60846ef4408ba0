import { describe, expect, it } from 'vitest';
import { NoteBudget } from './note-budget.js';

describe('the budget of notes', () => {
  it('stays within what readings pay for, however long it goes on', () => {
    const budget = new NoteBudget(4);
    let written = 0;
    const seconds = 86_400;
    for (let second = 0; second < seconds; second++) {
      budget.earn(10);
      const due = budget.dueBytes(second * 1e6);
      if (due === 0) continue;
      const bytes = Math.min(due, 50_000);
      written += bytes + 2048;
      budget.spend(bytes, second * 1e6);
    }
    expect(written).toBeGreaterThan(seconds);
    expect(written / (seconds * 10)).toBeLessThanOrEqual(4);
  });

  it('lets nothing be saved before a minute is over, and not without readings', () => {
    const budget = new NoteBudget(4);
    expect(budget.dueBytes(0)).toBe(0);
    budget.earn(1000);
    expect(budget.dueBytes(0)).toBe(1952);
    budget.spend(100, 0);
    budget.earn(1000);
    expect(budget.dueBytes(59e6)).toBe(0);
    expect(budget.dueBytes(60e6)).toBeGreaterThan(0);
  });
});
