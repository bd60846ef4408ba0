import { dirname, join } from 'node:path';
import type { AgentConfig } from '../config/schema.js';

/** Where the status is served: as configured, or beside the buffer; undefined for nowhere. */
export function statusPath({ health, buffer }: Pick<AgentConfig, 'health' | 'buffer'>): string | undefined {
  if (health.socket === 'off') return undefined;
  return health.socket ?? join(dirname(buffer.path), 'status.sock');
}
