import { describe, expect, it } from 'vitest';
import { readChunk } from './chunk.js';
import { batch, batches, declaration, NOW_US } from './conformance/data.js';
import { ChunkField, DeviceField, packCommit } from './packed-commit.js';

describe('packCommit', () => {
  it('frames each run of sequences once, and says of it what a store needs', () => {
    const first = { deviceId: 5, epochId: 1, fencingToken: 3, readingsProduced: 70, readingsWaiting: 60 };
    const second = { ...first, deviceId: 6 };
    const loss = declaration(9, 30, [{ first: 4, last: 8 }]);
    const packed = packCommit(
      [
        { ...first, items: [...batches(1, 3), loss] },
        { ...second, items: [batch(4)] },
      ],
      NOW_US,
    );
    expect(packed.items).toBe(5);
    expect([...packed.devices]).toEqual([5, 1, 3, 70, 60, 4, 2, 6, 1, 3, 70, 60, 1, 1]);
    expect(packed.devices.length).toBe(2 * DeviceField.Width);
    expect(packed.entries).toEqual([{ device: 0, item: 3, entries: loss.entries }]);
    const chunks = Array.from({ length: 3 }, (_, at) =>
      packed.chunks.subarray(at * ChunkField.Width, (at + 1) * ChunkField.Width),
    );
    const [run, alone] = chunks;
    expect([run[ChunkField.FirstSequence], run[ChunkField.Items], run[ChunkField.Readings]]).toEqual([1, 3, 30]);
    expect([run[ChunkField.FirstUs], run[ChunkField.LastUs]]).toEqual([batch(1).firstUs, batch(3).lastUs]);
    expect([run[ChunkField.ReadingsEnd], run[ChunkField.LastChecksum]]).toEqual([30, batch(3).checksum]);
    expect(alone[ChunkField.FirstUs]).toBeNaN();
    const read = chunks.map((chunk) =>
      readChunk(packed.bytes.subarray(chunk[ChunkField.Start], chunk[ChunkField.End]))?.map(({ sequence }) => sequence),
    );
    expect(read).toEqual([[1, 2, 3], [9], [4]]);
  });
});
