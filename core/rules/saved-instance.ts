import * as v from 'valibot';
import { PHASES } from './rule-instance.js';

/** An onset as JSON holds it. */
export const savedOnsetSchema = v.object({
  epoch: v.string(),
  sequence: v.number(),
  row: v.number(),
  gridUs: v.optional(v.number(), 0),
});

/**
 * A rule's state for one series or device, as JSON can hold it. What is infinite or at its beginning is left out: JSON has
 * no infinity, and most states are at rest.
 */
export const savedInstanceSchema = v.object({
  /** Of the rule that was judged by: the state of another version means something else. */
  version: v.string(),
  phase: v.picklist(PHASES),
  sinceUs: v.optional(v.number()),
  onset: v.optional(savedOnsetSchema),
  coveredUs: v.optional(v.number()),
  clearing: v.optional(v.boolean()),
  broken: v.optional(v.boolean()),
  /** Event times of the newest reading, and of the newest that said anything. */
  lastUs: v.optional(v.number()),
  signalUs: v.optional(v.number()),
});

export type SavedInstance = v.InferOutput<typeof savedInstanceSchema>;
