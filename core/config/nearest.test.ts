import { describe, expect, it } from 'vitest';
import { nearest } from './nearest.js';

describe('the nearest word', () => {
  const known = ['interval', 'baudRate', 'device', 'bytesMax'];

  it('is found across typing mistakes and other ways to join words', () => {
    expect(nearest('intervall', known)).toBe('interval');
    expect(nearest('intreval', known)).toBe('interval');
    expect(nearest('baud_rate', known)).toBe('baudRate');
    expect(nearest('Device', known)).toBe('device');
  });

  it('is none when nothing is near', () => {
    expect(nearest('colour', known)).toBeUndefined();
    expect(nearest('x', [])).toBeUndefined();
    expect(nearest('a'.repeat(1_000_000), known)).toBeUndefined();
  });
});
