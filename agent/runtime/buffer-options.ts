import type { SqliteBufferOptions } from '../buffer/sqlite-buffer.js';
import type { AgentConfig } from '../config/schema.js';
import { CRASH_BOUND_AT_START } from './crash-window.js';
import { fullPolicy } from './full-policy.js';

/**
 * Flash that states of rules may cost for each reading, in bytes: a tenth of what a reading costs at 1,000 a second, and of what
 * it costs where most are acknowledged before they are written (docs/PERFORMANCE.md).
 */
export function noteBytesPerReading({ buffer }: AgentConfig): number {
  return buffer.durability === 'deferred' ? 0.25 : 0.5;
}

/** How the buffer of an agent is opened, whose disk has refused that for so long already. */
export function bufferOptions({ buffer }: AgentConfig, refusedMs = 0): SqliteBufferOptions {
  const { path, durability, lossWindow, standby } = buffer;
  const { after: afterMs, quota: quotaBytes } = standby === 'off' ? { after: 0, quota: 0 } : standby;
  return {
    path,
    ...fullPolicy(buffer),
    crashBound: CRASH_BOUND_AT_START,
    ...(durability === 'deferred' ? { lossWindowMs: lossWindow } : {}),
    ...(standby === 'off' ? {} : { standby: { afterMs, quotaBytes }, standbyAtOnce: refusedMs >= afterMs }),
  };
}
