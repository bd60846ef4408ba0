import { describe, expect, it } from 'vitest';
import { SPAN_CLASS_MAX, spanClass, spanLimitUs } from './chunk-table.js';

describe('spanClass', () => {
  it('keeps every span below the limit of its class and not below that of the class before', () => {
    for (const spanUs of [0, 1, 999_999, 1e6, 16e6 - 1, 16e6, 3.6e9, 8.64e10, 3.2e13, 9e15, 1e300]) {
      const at = spanClass(spanUs);
      expect(spanUs).toBeLessThan(spanLimitUs(at));
      if (at > 0) expect(spanUs).toBeGreaterThanOrEqual(spanLimitUs(at - 1));
    }
  });

  it('has a class for spans that are no numbers', () => {
    expect(spanClass(Number.NaN)).toBe(SPAN_CLASS_MAX);
    expect(spanClass(Number.POSITIVE_INFINITY)).toBe(SPAN_CLASS_MAX);
  });
});
