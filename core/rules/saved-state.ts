import * as v from 'valibot';
import { inactiveState, PHASES, type RuleState } from './condition.js';

/** A rule's state as JSON can hold it. */
export const savedStateSchema = v.object({
  phase: v.picklist(PHASES),
  sinceUs: v.optional(v.number()),
  onset: v.optional(v.object({ epoch: v.string(), sequence: v.number(), row: v.number() })),
  clearSinceUs: v.optional(v.number()),
});

export type SavedState = v.InferOutput<typeof savedStateSchema>;

export function saveState(state: RuleState): SavedState {
  if (state.phase === 'inactive') return { phase: 'inactive' };
  return {
    phase: state.phase,
    sinceUs: state.sinceUs,
    onset: state.onset,
    ...(Number.isNaN(state.clearSinceUs) ? {} : { clearSinceUs: state.clearSinceUs }),
  };
}

/** What `saveState` wrote. A state that lacks its onset is taken as inactive. */
export function restoreState(saved: SavedState): RuleState {
  if (saved.phase === 'inactive' || saved.onset === undefined || saved.sinceUs === undefined) return inactiveState();
  return {
    phase: saved.phase,
    sinceUs: saved.sinceUs,
    onset: saved.onset,
    clearSinceUs: saved.clearSinceUs ?? Number.NaN,
  };
}
