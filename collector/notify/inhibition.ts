import { type AlertLabels, compileMatchers } from '../alerts/matchers.js';

/** Which incidents hide which others. */
export interface InhibitionRule {
  source: Record<string, string>;
  target: Record<string, string>;
  equal: string[];
}

/**
 * The rule that holds where none is configured: a device that is not heard hides the incidents of its series. Only an
 * incident about a device as a whole has no series.
 */
export const DEVICE_DOWN: InhibitionRule = {
  source: { series: '' },
  target: { series: '?*' },
  equal: ['tenant', 'device'],
};

/** An incident that fires. */
export interface FiringIncident {
  /** Hexadecimal. */
  incident: string;
  labels: AlertLabels;
}

/** Compiled rules of inhibition. */
export class Inhibition {
  /** Nothing hides an incident of another device: only those of its own need to be looked at. */
  readonly staysOnDevice: boolean;
  readonly #rules;

  constructor(rules: readonly InhibitionRule[]) {
    this.staysOnDevice = rules.every(({ equal }) => equal.includes('tenant') && equal.includes('device'));
    this.#rules = rules.map(({ source, target, equal }) => ({
      isSource: compileMatchers(source),
      isTarget: compileMatchers(target),
      equal,
    }));
  }

  /** Whether anything could hide it. */
  isTarget(labels: AlertLabels): boolean {
    return this.#rules.some((rule) => rule.isTarget(labels));
  }

  /** Those of the firing incidents that a rule has as its source, ready to be asked. */
  sourcesAmong(firing: Iterable<FiringIncident>): InhibitionSources {
    const all = [...firing];
    const rules = this.#rules.map(({ isSource, isTarget, equal }) => {
      const byKey = new Map<string, string[]>();
      for (const { incident, labels } of all) {
        if (!isSource(labels)) continue;
        const key = keyOf(labels, equal);
        const others = byKey.get(key);
        if (others === undefined) byKey.set(key, [incident]);
        else others.push(incident);
      }
      return { isSource, isTarget, equal, byKey };
    });
    return {
      hiding({ incident, labels }) {
        const found = new Set<string>();
        for (const { isSource, isTarget, equal, byKey } of rules) {
          // As in Alertmanager: what is on both sides of a rule hides nothing by it, or two would hide each other.
          if (byKey.size === 0 || !isTarget(labels) || isSource(labels)) continue;
          for (const source of byKey.get(keyOf(labels, equal)) ?? []) if (source !== incident) found.add(source);
        }
        return [...found];
      },
    };
  }
}

export interface InhibitionSources {
  /** The incidents that hide this one now. */
  hiding(incident: FiringIncident): string[];
}

function keyOf(labels: AlertLabels, names: readonly string[]): string {
  return JSON.stringify(names.map((name) => labels.get(name) ?? ''));
}
