import { describe, expect, it } from 'vitest';
import { armedBy } from './failpoint.js';

function crashes(setting: string | undefined): number[] {
  const at: number[] = [];
  let hit = 0;
  const failpoint = armedBy(setting, () => at.push(hit));
  for (hit = 1; hit <= 5; hit++) {
    failpoint('upload-send');
    failpoint('buffer-delete');
  }
  return at;
}

describe('a failpoint', () => {
  it('does nothing unless it is armed', () => {
    expect(crashes(undefined)).toEqual([]);
    expect(crashes('')).toEqual([]);
    expect(crashes('store-after-commit:1')).toEqual([]);
  });

  it('crashes once, the first time or at the hit that was asked for', () => {
    expect(crashes('upload-send')).toEqual([1]);
    expect(crashes('buffer-delete:4')).toEqual([4]);
  });
});
