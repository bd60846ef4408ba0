import * as v from 'valibot';
import { PHASES } from './phase.js';

/** An onset as JSON holds it. */
export const savedOnsetSchema = v.object({
  epoch: v.string(),
  sequence: v.number(),
  row: v.number(),
  gridUs: v.optional(v.number(), 0),
});

const savedSourceSchema = v.record(v.string(), v.union([v.number(), v.string()]));
const savedNewestSchema = v.object({ timeUs: v.number(), epoch: v.string(), sequence: v.number(), row: v.number() });
const savedSeriesSchema = v.object({ name: v.string(), unit: v.string(), labels: v.record(v.string(), v.string()) });

/** One member of a rule over a device for one series. */
const savedJoinedSchema = v.object({
  member: v.number(),
  texts: v.optional(v.boolean()),
  series: savedSeriesSchema,
  satisfied: v.optional(v.boolean()),
  broken: v.optional(v.boolean()),
  interruptedUs: v.optional(v.number()),
  signalUs: v.optional(v.number()),
  value: v.optional(v.string()),
  newest: v.optional(savedNewestSchema),
  source: savedSourceSchema,
});

export type SavedJoined = v.InferOutput<typeof savedJoinedSchema>;

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
  /** Event times of the newest reading, and of the newest signal. */
  lastUs: v.optional(v.number()),
  signalUs: v.optional(v.number()),
  /** Readings are missing after this event time. */
  interruptedUs: v.optional(v.number()),
  /** Rules over a series with a source. */
  newest: v.optional(savedNewestSchema),
  source: v.optional(savedSourceSchema),
  /** Rules over a device. */
  about: v.optional(savedSeriesSchema),
  joined: v.optional(v.array(savedJoinedSchema)),
  openUs: v.optional(v.number()),
  speaker: v.optional(v.number()),
});

export type SavedInstance = v.InferOutput<typeof savedInstanceSchema>;
