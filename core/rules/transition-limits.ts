/**
 * What an item of kind TRANSITION may hold: a device keeps within it, a collector refuses what goes beyond. Labels and
 * annotations are words and a sentence for people, and each transition is a row of the store for as long as alerts are
 * kept.
 */
export const TRANSITION_LIMITS = {
  /** Of the whole body. */
  bytesMax: 16 * 1024,
  /** Of a rule's name; the same as in a file of rules. */
  ruleBytesMax: 128,
  ruleVersionBytesMax: 64,
  severityBytesMax: 32,
  /** Of labels and of annotations, each. */
  entriesMax: 32,
  keyBytesMax: 64,
  valueBytesMax: 1024,
} as const;
