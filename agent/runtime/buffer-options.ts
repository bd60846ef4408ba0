import type { SqliteBufferOptions } from '../buffer/sqlite-buffer.js';
import type { AgentConfig } from '../config/schema.js';
import { CRASH_BOUND_AT_START } from './crash-window.js';
import { fullPolicy } from './full-policy.js';

/** How the buffer of an agent is opened. */
export function bufferOptions({ buffer }: AgentConfig): SqliteBufferOptions {
  const { path, durability, lossWindow } = buffer;
  return {
    path,
    ...fullPolicy(buffer),
    crashBound: CRASH_BOUND_AT_START,
    ...(durability === 'deferred' ? { lossWindowMs: lossWindow } : {}),
  };
}
