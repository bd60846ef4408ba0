import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BufferEngine } from '@tributary/agent/buffer/buffer-engine';
import { afterAll, describe, expect, it } from 'vitest';
import { FileShim } from './file-shim.js';
import { lacking } from './needs.js';
import { unname } from './unnamed-database.js';

/** More than the log holds before its first checkpoint, so that the new file is written in several parts. */
const ITEMS = 400;
const BODY_BYTES = 600;
/** Calls on the new database that its making takes, and some. */
const CALLS = 24;

const engineUrl = import.meta.resolve('@tributary/agent/buffer/buffer-engine');
/** Opens a buffer as an agent does, in a process of its own that has the shim. */
const OPEN = `
const { BufferEngine } = await import(process.argv[1]);
const newEpoch = () => new Uint8Array(16).fill(9);
try { new BufferEngine({ path: process.argv[2], quotaBytes: 1 << 24, newEpoch }).close(); } catch { process.exit(3); }
`;

const folder = mkdtempSync(join(tmpdir(), 'tributary-salvage-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(path: string): BufferEngine {
  return new BufferEngine({ path, quotaBytes: 1 << 24, newEpoch: () => new Uint8Array(16).fill(7) });
}

describe.skipIf(lacking(['linux', 'compiler']) !== undefined)('a salvage on a disk that refuses a call', () => {
  it('carries every row over sooner or later, whichever call it was', () => {
    const shim = new FileShim(folder);
    const origin = join(folder, 'origin');
    mkdirSync(origin);
    const engine = open(join(origin, 'buffer.db'));
    for (let at = 0; at < ITEMS; at++) engine.append([{ readings: 1, body: new Uint8Array(BODY_BYTES).fill(at) }]);
    engine.close();
    unname(join(origin, 'buffer.db'));
    let refused = 0;
    for (let every = 1; every <= CALLS; every++) {
      const path = join(folder, String(every), 'buffer.db');
      cpSync(origin, join(folder, String(every)), { recursive: true });
      const env = { ...process.env, ...shim.env({ match: 'buffer.db-salvaging$', every }) };
      const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', OPEN, engineUrl, path], { env });
      if (status === 3) refused++;
      const again = open(path);
      const { itemsWaiting, readingsWaiting } = again.run((core) => core.status());
      again.close();
      expect({ every, itemsWaiting, readingsWaiting }).toEqual({ every, itemsWaiting: ITEMS, readingsWaiting: ITEMS });
    }
    expect(refused).toBeGreaterThan(0);
  });
});
