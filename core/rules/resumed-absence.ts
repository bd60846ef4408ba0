import type { CompiledRule } from './compiled-rule.js';
import type { SavedInstance } from './saved-instance.js';

/** How long nothing comes before a rule about the absence of a series is satisfied, in microseconds; undefined for others. */
function absenceUs({ rule: { absent, all, any } }: CompiledRule): number | undefined {
  if (absent === undefined || all !== undefined || any !== undefined) return undefined;
  if (typeof absent === 'number') return absent * 1000;
  return absent.of === 'series' ? absent.for * 1000 : undefined;
}

/**
 * What becomes of a rule about the absence of a series where its evaluator has not looked for a while, and is where the
 * readings are made: before `atUs` nobody can say whether any came, from there on silence is silence. Undefined for other
 * rules, which wait for a reading after an interruption. A series that never spoke is not absent.
 */
export function resumedAbsence(rule: CompiledRule, saved: SavedInstance, atUs: number): SavedInstance | undefined {
  const forUs = absenceUs(rule);
  if (forUs === undefined) return undefined;
  const { interruptedUs: _, ...kept } = saved;
  // What is absent already stays so until something comes.
  if (saved.newest === undefined || saved.source?.dueUs === undefined) return kept;
  return { ...kept, source: { ...saved.source, dueUs: atUs + forUs } };
}
