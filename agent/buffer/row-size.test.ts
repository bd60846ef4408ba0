import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openBufferFile } from './buffer-file.js';
import { PAGE_BYTES, rowBytes } from './row-size.js';
import { SqliteItemTable } from './sqlite-item-table.js';

const directory = mkdtempSync(join(tmpdir(), 'tributary-row-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('the estimate of what a row takes', () => {
  it.each([10, 60, 90, 200, 300, 450, 480, 700, 1_000, 1_700, 4_000, 20_000])(
    'is right within a tenth for %i bytes',
    (bytes) => {
      const { db } = openBufferFile(join(directory, `${bytes}.db`), 64 << 20);
      const pages = (): number => db.pragma('page_count', { simple: true }) as number;
      const table = new SqliteItemTable(db);
      const before = pages();
      table.begin();
      for (let sequence = 1; sequence <= 2_000; sequence++) {
        const body = new Uint8Array(bytes);
        table.put({
          sequence,
          kind: 1,
          checksum: 0xffffffff,
          readings: 1_000,
          readingsBefore: sequence * 1_000_000,
          body,
          isProtected: false,
        });
      }
      table.commit();
      const measured = ((pages() - before) * PAGE_BYTES) / 2_000;
      expect(rowBytes(bytes) / measured).toBeGreaterThan(0.9);
      expect(rowBytes(bytes) / measured).toBeLessThan(1.2);
      db.close();
    },
  );
});
