import { glob } from '@tributary/core/rules/glob';
import type { SqliteBufferOptions } from '../buffer/sqlite-buffer.js';
import type { AgentConfig } from '../config/schema.js';
import type { SeriesSpec } from '../sensors/source.js';

/** What a configuration says of a full buffer, as the buffer takes it. */
export function fullPolicy({
  quota,
  freeSpace,
  thinning,
}: Pick<AgentConfig['buffer'], 'quota' | 'freeSpace' | 'thinning'>): Pick<
  SqliteBufferOptions,
  'quotaBytes' | 'freeDiskBytesMin' | 'thinningWindowMs'
> {
  return {
    quotaBytes: quota,
    ...(freeSpace === undefined ? {} : { freeDiskBytesMin: freeSpace }),
    ...(thinning === 'off' ? {} : { thinningWindowMs: thinning.window }),
  };
}

/** Whether a series is one of those that are dropped last. */
export function seriesProtection(patterns: readonly string[]): (spec: Pick<SeriesSpec, 'name'>) => boolean {
  const matchers = patterns.map(glob);
  return ({ name }) => matchers.some((matches) => matches(name));
}
