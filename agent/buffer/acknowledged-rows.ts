import { normalRanges, rangeOf, rangesWithout } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { CountedRows } from './counted-rows.js';
import { rowBytes } from './row-size.js';

/** What rows hold together. */
export interface RowCounts {
  items: number;
  readings: number;
  bytes: number;
}

/**
 * Rows that the collector has and that the table has still. It never changes, so whoever keeps the one from before can go
 * back to it.
 */
export class AcknowledgedRows {
  static readonly NONE = new AcknowledgedRows([], { items: 0, readings: 0, bytes: 0 });

  private constructor(
    readonly ranges: readonly SequenceRange[],
    readonly counts: Readonly<RowCounts>,
  ) {}

  /** These as well; what they hold is to be {@link counted}. */
  with(ranges: readonly SequenceRange[]): AcknowledgedRows {
    return new AcknowledgedRows(normalRanges([...this.ranges, ...ranges]), this.counts);
  }

  /** With what the rows hold that these have more than `before`. Throws what the table throws. */
  counted(rows: CountedRows, before: AcknowledgedRows): AcknowledgedRows {
    const counts = { ...before.counts };
    for (const { first, last } of rangesWithout(this.ranges, before.ranges)) {
      rows.walkHeaders(first, last, (header) => {
        counts.items++;
        counts.readings += header.readings;
        counts.bytes += rowBytes(header.bodyBytes);
      });
    }
    return new AcknowledgedRows(this.ranges, counts);
  }

  /** A sequence, or the one behind the acknowledged stretch that it lies in. */
  after(sequence: number): number {
    const range = rangeOf(this.ranges, sequence);
    return range === undefined ? sequence : range.last + 1;
  }

  /** The first sequence of a table that is not among these; 0 where none is. */
  oldestWaiting(rows: CountedRows): number {
    for (let at = 1; ; ) {
      const [header] = rows.table.headers(this.after(at), Number.MAX_SAFE_INTEGER, 1);
      if (header === undefined) return 0;
      at = this.after(header.sequence);
      if (at === header.sequence) return at;
    }
  }
}
