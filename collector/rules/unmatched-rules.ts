import { nearest } from '@tributary/core/config/nearest';
import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { Store } from '../store/store.js';
import { namePatterns, RuleIndex } from './rule-index.js';

/** A rule that matches no series and no device. */
export interface UnmatchedRule {
  rule: string;
  /** The patterns of names that it asks for. */
  asked: string[];
  /** Known names that are like them. */
  nearest: string[];
}

const DEVICES_PAGE = 1000;
/** Devices that are looked at: enough to have seen each kind; a fleet of more would be read for minutes. */
const DEVICES_MAX = 10_000;
/** Names to compare with, so that one device with a mad catalogue does not make this slow. */
const NAMES_MAX = 10_000;

/**
 * Finds rules for which the store has no series and no device. It stops as soon as each has one. An empty store says
 * nothing: there nothing is known to match.
 */
export async function findUnmatched(
  store: Pick<Store, 'listDevices' | 'listSeries'>,
  rules: readonly CompiledRule[],
): Promise<UnmatchedRule[]> {
  const index = new RuleIndex(rules);
  const left = new Set(rules);
  const series = new Set<string>();
  const devices = new Set<string>();
  let after = 0;
  while (left.size > 0 && devices.size < DEVICES_MAX) {
    const page = await store.listDevices(after, DEVICES_PAGE);
    for (const { deviceId, tenant, device, attributes } of page) {
      after = deviceId;
      devices.add(device);
      for (const rule of index.ofDevices) if (rule.selectsDevice({ device }, attributes)) left.delete(rule);
      for (const { name, unit, labels } of await store.listSeries(deviceId)) {
        if (series.size < NAMES_MAX) series.add(name);
        for (const rule of index.candidates(name)) {
          if (left.has(rule) && rule.selects({ tenant, device, name, unit, labels }, attributes)) left.delete(rule);
        }
      }
      if (left.size === 0) return [];
    }
    if (page.length < DEVICES_PAGE) break;
  }
  if (devices.size === 0) return [];
  return [...left].map((rule) => {
    const asked = rule.watchesDevice ? [rule.rule.select?.device ?? '*'] : namePatterns(rule);
    return { rule: rule.name, asked, nearest: likeThem(asked, rule.watchesDevice ? devices : series) };
  });
}

function likeThem(asked: readonly string[], known: ReadonlySet<string>): string[] {
  const names = [...known];
  return [...new Set(asked.flatMap((pattern) => nearest(pattern, names) ?? []))];
}
