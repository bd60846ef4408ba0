import { isDeepStrictEqual } from 'node:util';
import type { AgentConfig } from '../config/schema.js';

/** What a new configuration changes, as the names of fields. */
export interface ConfigChanges {
  /** Takes effect at once. */
  applied: string[];
  /** Takes effect when the agent is started anew; until then it goes on as it was. */
  needsRestart: string[];
}

/**
 * Fields that can change under a running agent: they touch neither what is in the buffer nor where it lies, and no reading
 * is between two settings. `collector.streamAge` is given to the uplink once, so it is not among them.
 */
const reloadable = new Set(['collector.address', 'collector.serverName', 'tls.ca', 'tls.cert', 'tls.key', 'log.level']);

/** Compares two configurations field by field, one level down; lists and deeper objects are compared as a whole. */
export function configChanges(before: AgentConfig, after: AgentConfig): ConfigChanges {
  const changes: ConfigChanges = { applied: [], needsRestart: [] };
  for (const field of differing(before, after)) {
    (reloadable.has(field) ? changes.applied : changes.needsRestart).push(field);
  }
  return changes;
}

function differing(before: AgentConfig, after: AgentConfig): string[] {
  const one = fieldsOf(before);
  const other = fieldsOf(after);
  return [...new Set([...one.keys(), ...other.keys()])]
    .filter((name) => !isDeepStrictEqual(one.get(name), other.get(name)))
    .sort();
}

function fieldsOf(config: AgentConfig): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [section, value] of Object.entries(config)) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) fields.set(section, value);
    else for (const [field, inner] of Object.entries(value)) fields.set(`${section}.${field}`, inner);
  }
  return fields;
}
