import { describe, expect, it } from 'vitest';
import { trial } from './buffer.js';

describe('the buffer trial', () => {
  it('stays within what a flash disk bears', async () => {
    const figures = await trial.run({ appends: '200' });
    // Goals: 200 bytes a reading for ten readings a second; the log's pages decide, not the machine.
    expect(figures.smallBytesWrittenPerReading).toBeLessThan(200);
    expect(figures.smallBytesWrittenPerReadingInOutage).toBeLessThan(200);
    expect(figures.largeBytesWrittenPerReading).toBeLessThan(10);
    expect(figures.groupReadingsPerSecond).toBeGreaterThan(0);
  });
});
