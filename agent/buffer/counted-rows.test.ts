import { describe, expect, it } from 'vitest';
import { CountedRows } from './counted-rows.js';
import { MemoryItemTable } from './memory-item-table.js';

describe('the rows of a buffer', () => {
  it('are damaged when a number of theirs is beyond what the checksum covers', () => {
    const rows = new CountedRows(new MemoryItemTable(), new Uint8Array(16).fill(7));
    rows.transact(() => {
      rows.state.highestSequence = 1;
      rows.put(1, 1, 5, new Uint8Array([1, 2, 3]));
    });
    const [item] = rows.table.items(1, 1, 1024);
    expect(rows.isIntact(item)).toBe(true);
    expect(rows.isIntact({ ...item, kind: item.kind + 256 })).toBe(false);
    expect(rows.isIntact({ ...item, readings: item.readings + 2 ** 32 })).toBe(false);
    expect(rows.isIntact({ ...item, readings: item.readings - 2 ** 32 })).toBe(false);
    expect(rows.isIntact({ ...item, readings: item.readings + 0.5 })).toBe(false);
    expect(rows.isIntact({ ...item, readingsBefore: 2 ** 53 })).toBe(false);
  });
});
