/** What is remembered of a checkpoint; its body lies in the store. */
export interface CheckpointHead {
  /** Its place in the store, from 0. */
  number: number;
  /** It holds what the rules know when they have seen everything up to this event time. */
  timeUs: number;
  /**
   * A walk from here begins with items that hold something from this event time on: series may differ in how far they
   * have come, so what follows a checkpoint may be earlier than its time.
   */
  readFromUs: number;
  bytes: number;
}
