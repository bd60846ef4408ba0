import { describe, expect, it } from 'vitest';
import { trial } from './buffer.js';

describe('the buffer trial', () => {
  it('stays within what a flash disk bears', async () => {
    const figures = await trial.run({ appends: '600' });
    // Goals: 200 bytes a reading for ten readings a second; the log's pages decide, not the machine.
    expect(figures.smallBytesWrittenPerReading).toBeLessThan(200);
    expect(figures.smallBytesWrittenPerReadingInOutage).toBeLessThan(200);
    expect(figures.largeBytesWrittenPerReading).toBeLessThan(10);
    // And 8 where durability is deferred.
    expect(figures.deferredBytesWrittenPerReading).toBeLessThan(8);
    expect(figures.deferredBytesWrittenPerReadingInOutage).toBeLessThan(100);
    expect(figures.groupReadingsPerSecond).toBeGreaterThan(0);
  });
});
