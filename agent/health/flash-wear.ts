import type { BufferStatus } from '../buffer/buffer.js';

/** Before that the opening of the buffer weighs too much. */
const KNOWN_AFTER_SECONDS = 600;

const DAY_SECONDS = 86_400;
const DAYS_PER_YEAR = 365.25;

/** What the buffer costs the flash that it lies on, since the agent started. */
export interface FlashWear {
  bytesPerReading: number;
  bytesPerDay: number;
  /** How long flash of the configured endurance lasts at this rate, from new. */
  projectedYears: number;
}

/**
 * The wear by the blocks that the disk was made to write, or by write calls where blocks are not counted. Undefined while
 * the agent has not run for ten minutes, or nothing was written.
 */
export function flashWear(
  writes: Pick<BufferStatus, 'bytesWritten' | 'blockBytesWritten'>,
  readings: number,
  uptimeSeconds: number,
  enduranceBytes: number,
): FlashWear | undefined {
  const bytes = writes.blockBytesWritten > 0 ? writes.blockBytesWritten : writes.bytesWritten;
  if (uptimeSeconds < KNOWN_AFTER_SECONDS || bytes === 0 || readings === 0) return undefined;
  const bytesPerDay = (bytes / uptimeSeconds) * DAY_SECONDS;
  return {
    bytesPerReading: bytes / readings,
    bytesPerDay,
    projectedYears: enduranceBytes / bytesPerDay / DAYS_PER_YEAR,
  };
}
