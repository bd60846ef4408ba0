import { AbsentSource } from './absent-source.js';
import { signalOf } from './band.js';
import { ChangeSource } from './change-source.js';
import type { Condition } from './condition.js';
import { type Deviation, DeviationSource } from './deviation-source.js';
import type { SavedSource, Source } from './source.js';
import { ValueSource } from './value-source.js';
import { type Window, WindowSource } from './window-source.js';

const DAY_MS = 86_400_000;

/** A condition made ready: what makes its sources, and how far back they look. */
export interface SourceFactory {
  newSource(saved?: SavedSource): Source;
  /** Signals further apart than this have missing data between them. */
  gapUs: number;
  memoryUs: number;
  /** Says something at times of its own. */
  watchesTime: boolean;
}

/** Compiles a checked condition over one series; `gapMs` is the rule's `gap`. */
export function sourceOf(condition: Condition, gapMs: number): SourceFactory {
  const gapUs = gapMs * 1000;
  const { rate, delta, window, absent, deviation } = condition;
  if (absent !== undefined) {
    const absentUs = (typeof absent === 'number' ? absent : absent.for) * 1000;
    return {
      newSource: (saved) => new AbsentSource(absentUs, saved),
      gapUs,
      memoryUs: absentUs,
      watchesTime: true,
    };
  }
  if (deviation !== undefined) {
    const compiled = deviationOf(condition, deviation, gapUs);
    return {
      newSource: (saved) => new DeviationSource(compiled, saved),
      gapUs,
      memoryUs: Infinity,
      watchesTime: false,
    };
  }
  const judge = signalOf(condition);
  const change = rate ?? delta;
  if (change !== undefined) {
    const overUs = change.over * 1000;
    const perUs = rate === undefined ? undefined : rate.per * 1000;
    const compiled = { overUs, perUs, gapUs, judge };
    return {
      newSource: (saved) => new ChangeSource(compiled, saved),
      gapUs,
      memoryUs: overUs + gapUs,
      watchesTime: false,
    };
  }
  if (window !== undefined) {
    const overUs = window.over * 1000;
    const everyUs = (window.every ?? window.over / 10) * 1000;
    const { function: name, quantile = 0 } = window;
    const compiled: Window = { function: name, quantile, overUs, everyUs, gapUs, judge };
    return {
      newSource: (saved) => new WindowSource(compiled, saved),
      gapUs: Math.max(gapUs, everyUs),
      memoryUs: overUs,
      watchesTime: true,
    };
  }
  return { newSource: () => new ValueSource(judge, gapUs), gapUs, memoryUs: 0, watchesTime: false };
}

function deviationOf(condition: Condition, fields: NonNullable<Condition['deviation']>, gapUs: number): Deviation {
  const { sensitivity, direction, season = 0, least = 0 } = fields;
  const memory = fields.memory ?? (season === 0 ? DAY_MS : 7 * season);
  return {
    sensitivity,
    // A quarter of the way back, so that what wavers about the limit is one incident.
    clear: (condition.clear as number | undefined) ?? sensitivity / 4,
    direction,
    memoryUs: memory * 1000,
    seasonUs: season * 1000,
    warmUpUs: (fields.warm_up ?? 2 * memory) * 1000,
    least,
    relearnUs: (fields.relearn_after ?? 7 * memory) * 1000,
    gapUs,
  };
}
