/**
 * Why the batcher did not take readings, or let go of them before they had a sequence. Those that it could not have taken
 * never count as produced; those of `memory` do, and are declared once the buffer takes anything again.
 *
 * - `memory`: as many readings wait as may, because the buffer does not take them.
 * - `time_range`: the time is no whole number of microseconds below 2^53.
 * - `string_too_long`: a state longer than a state may be.
 * - `series_refused`: the catalogue will not take the series.
 */
export type BatchDropReason = 'memory' | 'time_range' | 'string_too_long' | 'series_refused';
