import type { ItemKind } from '@tributary/proto/gen/tributary/v1/telemetry';

// Read by hand, as declarations are: the generated module does not belong into the buffer's thread.

export const TRANSITION: ItemKind.TRANSITION = 3;

/** `series_id`, and `started_segment` and `transition_segment`, of an `IncidentTransition`. */
const SERIES_FIELD = 3;
const SEGMENT_FIELDS: readonly number[] = [9, 11];

const VARINT = 0;
const SIXTY_FOUR_BITS = 1;
const DELIMITED = 2;
const THIRTY_TWO_BITS = 5;

/** What the body of a transition refers to in its epoch's catalogue. */
export interface TransitionIds {
  /** 0 where it is about the device. */
  seriesId: number;
  /** Without the absolute one. */
  segments: number[];
}

/** Throws RangeError where the body is none; its checksum was verified. */
export function transitionIds(body: Uint8Array): TransitionIds {
  const ids: TransitionIds = { seriesId: 0, segments: [] };
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = body[at++];
      if (byte === undefined) throw new RangeError('a transition ends within a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < body.length) {
    const tag = varint();
    switch (tag & 7) {
      case VARINT: {
        const value = varint();
        if (tag >>> 3 === SERIES_FIELD) ids.seriesId = value;
        if (SEGMENT_FIELDS.includes(tag >>> 3) && value > 0) ids.segments.push(value);
        break;
      }
      case SIXTY_FOUR_BITS:
        at += 8;
        break;
      case DELIMITED: {
        const length = varint();
        at += length;
        break;
      }
      case THIRTY_TWO_BITS:
        at += 4;
        break;
      default:
        throw new RangeError('a transition has a field of an unknown shape');
    }
  }
  return ids;
}
