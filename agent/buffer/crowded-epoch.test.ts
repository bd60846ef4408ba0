import { encodeBatch } from '@tributary/proto/batch/encode';
import { describe, expect, it } from 'vitest';
import { BufferCore } from './buffer-core.js';
import { DeferredItemTable } from './deferred-item-table.js';
import { MemoryItemTable } from './memory-item-table.js';

const CROWDED = 12_000;

function batchOf(segment: number) {
  const times = Float64Array.from([0, 1]);
  const values = Float64Array.from([segment, segment]);
  const column = { seriesId: 1, type: 'double' as const, presence: null, count: 2, values, strings: [] };
  const groups = [{ rows: 2, times, columns: [column] }];
  return { readings: 2, body: encodeBatch({ segment, unitExponent: 6, baseTime: 0n, groups, readings: 2 }) };
}

/** A buffer that was started so often, with an anchor for each start, and waiting batches of some of them. */
function buffer(table: MemoryItemTable | DeferredItemTable, starts: number, waiting: readonly number[]): BufferCore {
  // A table is written to by a core alone, once it has its first state.
  new BufferCore(table, 1 << 20, new Uint8Array(16).fill(1));
  table.begin();
  const clock = { offsetUs: 0, uncertaintyUs: 1, state: 1 };
  for (let id = 1; id <= starts; id++) {
    table.putSegment({ id, bootId: `boot-${id}`, observedAtUs: 0, ...clock });
    table.putAnchor({ id, segment: id, atUs: 0, ...clock });
  }
  table.putState(table.state()!);
  table.commit();
  const core = new BufferCore(table, 1 << 20, new Uint8Array(16).fill(1));
  for (const segment of waiting) core.append([batchOf(segment)]);
  return core;
}

describe.each([
  ['in memory', () => new MemoryItemTable()],
  ['deferred', () => new DeferredItemTable(new MemoryItemTable(), { lossWindowMs: 1_000, nowMs: () => 0 })],
])('an epoch with nearly all the segments that it may have, %s', (_, makeTable) => {
  it('is left behind with what nobody refers to any more, and the ids go on', () => {
    const table = makeTable();
    const core = buffer(table, CROWDED, [CROWDED - 2, 0, CROWDED]);
    expect(core.isCrowded).toBe(true);
    core.openEpoch(new Uint8Array(16).fill(2));
    expect(core.isCrowded).toBe(false);
    const { segments, anchors } = core.identity('clean');
    expect(segments.map(({ id, bootId }) => [id, bootId])).toEqual(
      [CROWDED - 2, CROWDED - 1, CROWDED].map((id) => [id, `boot-${id}`]),
    );
    expect(anchors.map(({ id, segment }) => [id, segment])).toEqual(segments.map(({ id }) => [id, id]));
    expect({ segments: table.segments(), anchors: table.anchors() }).toEqual({ segments, anchors });
    expect(core.catalogueSizes.segments).toBe(CROWDED);
    const next = { bootId: 'next', offsetUs: 0, observedAtUs: 0, uncertaintyUs: 1, state: 1 };
    expect(core.addSegment(next).id).toBe(CROWDED + 1);
    const [first, second, third, declaration] = core.read(1, 1 << 20, 10).map(({ body }) => Uint8Array.from(body));
    const bodies = [CROWDED - 2, 0, CROWDED].map((segment) => Uint8Array.from(batchOf(segment).body));
    expect([first, second, third]).toEqual(bodies);
    expect(declaration).toBeDefined();
  });

  it('keeps the newest segment where nothing waits', () => {
    const core = buffer(makeTable(), CROWDED, []);
    core.openEpoch(new Uint8Array(16).fill(2));
    expect(core.identity('clean').segments.map(({ id }) => id)).toEqual([CROWDED]);
  });

  it('is left with all of it before it is crowded, and while the oldest is needed', () => {
    const early = buffer(makeTable(), CROWDED - 1, []);
    expect(early.isCrowded).toBe(false);
    early.openEpoch(new Uint8Array(16).fill(2));
    expect(early.identity('clean').segments).toHaveLength(CROWDED - 1);
    const needed = buffer(makeTable(), CROWDED, [1]);
    needed.openEpoch(new Uint8Array(16).fill(2));
    expect(needed.identity('clean').segments).toHaveLength(CROWDED);
  });
});

describe('a buffer that begins anew', () => {
  it('takes up ids where they were', () => {
    const core = buffer(new MemoryItemTable(), 0, []);
    const segment = { id: 12_345, bootId: 'boot', offsetUs: 0, observedAtUs: 0, uncertaintyUs: 1, state: 1 };
    expect(core.addSegment(segment).id).toBe(12_345);
    expect(core.addSegment({ ...segment, id: 12_345 }).id).toBe(12_346);
  });
});
