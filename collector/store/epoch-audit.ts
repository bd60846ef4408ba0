import type { DeclaredLoss } from '@tributary/proto/gen/tributary/v1/query';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';

/** A ledger entry of one epoch, as a device declared it. */
export interface DeclaredRange {
  first: number;
  last: number;
  readings: number;
  bound: boolean;
  reason: LossReason;
}

/** Where an epoch's readings are. */
export interface EpochBalance {
  /** Stored, declared and missing together. */
  produced: number;
  stored: number;
  declared: DeclaredLoss[];
  missing: number;
  doubled: number;
}

/** A part of a declared range that no other declared range claims. */
interface Claim extends DeclaredRange {
  /** Nothing was cut off, so that `readings` speaks of just this range. */
  whole: boolean;
}

/**
 * Balances one epoch: told what is stored, in order of sequence, it attributes what is not.
 *
 * Each item says how many readings were produced before it, so the readings in a gap follow from its neighbours exactly,
 * whatever was declared about it; declarations say why, and how much only where nothing better is known: after the last
 * item, and where a gap is only partly declared. Stored beats declared: what of a declared range is stored is not in a gap.
 */
export class EpochBalancer {
  readonly #claims: Claim[];
  #claim = 0;
  #lastSequence = 0;
  #readingsEnd = 0;
  #stored = 0;
  #missing = 0;
  #doubled = 0;
  readonly #exact = new Map<LossReason, number>();
  readonly #bound = new Map<LossReason, number>();

  constructor(declared: readonly DeclaredRange[]) {
    this.#claims = disjoint(declared);
  }

  /** A stored item that is whole; one that came before, or stands among those that did, is doubled. */
  stored(sequence: number, readings: number, readingsBefore: number): void {
    if (sequence <= this.#lastSequence) {
      this.#doubled += readings;
      return;
    }
    this.#gap(sequence, readingsBefore);
    this.#stored += readings;
    this.#advance(sequence, readingsBefore + readings);
  }

  /** Items that were stored once and have expired: `readings` of them in all, exactly. */
  expired(first: number, last: number, readings: number, readingsBefore: number): void {
    if (first <= this.#lastSequence) return;
    this.#gap(first, readingsBefore);
    add(this.#exact, LossReason.EXPIRED, readings);
    this.#advance(last, readingsBefore + readings);
  }

  /** Nothing more is stored; the store once had items up to this sequence, which ended at so many readings. */
  finish(highestSequence: number, readingsEnd: number): EpochBalance {
    if (highestSequence > this.#lastSequence) {
      this.#gap(highestSequence + 1, readingsEnd);
      this.#advance(highestSequence, readingsEnd);
    }
    this.#tail();
    const declared = new Map<LossReason, DeclaredLoss>();
    for (const [reason, readings] of this.#exact) declared.set(reason, { reason, readings, bound: false });
    for (const [reason, readings] of this.#bound) {
      declared.set(reason, { reason, readings: readings + (declared.get(reason)?.readings ?? 0), bound: true });
    }
    const losses = [...declared.values()].filter((loss) => loss.readings > 0).sort((a, b) => a.reason - b.reason);
    const declaredReadings = losses.reduce((sum, loss) => sum + loss.readings, 0);
    return {
      produced: this.#stored + declaredReadings + this.#missing,
      stored: this.#stored,
      declared: losses,
      missing: this.#missing,
      doubled: this.#doubled,
    };
  }

  #advance(sequence: number, readingsEnd: number): void {
    this.#lastSequence = sequence;
    this.#readingsEnd = Math.max(this.#readingsEnd, readingsEnd);
  }

  /** What lies between the last sequence and the next one that is accounted for. */
  #gap(nextSequence: number, readingsBefore: number): void {
    const first = this.#lastSequence + 1;
    const last = nextSequence - 1;
    if (first > last) return;
    let left = Math.max(0, readingsBefore - this.#readingsEnd);
    const pieces = this.#claimed(first, last);
    if (left === 0) return;
    const claimedSequences = pieces.reduce((sum, piece) => sum + piece.last - piece.first + 1, 0);
    const undeclaredSequences = last - first + 1 - claimedSequences;
    const known = pieces.filter((piece) => piece.whole && !piece.bound);
    const unknown = pieces.filter((piece) => !piece.whole || piece.bound);
    const reasons = new Set(pieces.map((piece) => piece.reason));
    if (undeclaredSequences === 0 && reasons.size === 1) {
      add(this.#exact, pieces[0].reason, left);
      return;
    }
    for (const piece of known) {
      const readings = Math.min(piece.readings, left);
      add(this.#exact, piece.reason, readings);
      left -= readings;
    }
    if (undeclaredSequences === 0) {
      const unknownReasons = new Set(unknown.map((piece) => piece.reason));
      if (unknownReasons.size === 1) {
        add(this.#exact, unknown[0].reason, left);
        return;
      }
      for (const piece of unknown) {
        const readings = Math.min(piece.readings, left);
        add(this.#bound, piece.reason, readings);
        left -= readings;
      }
      // The neighbours' counts are the truth; what the entries fall short of them goes to the last.
      const rest = unknown.at(-1) ?? known.at(-1);
      if (rest !== undefined) add(unknown.length > 0 ? this.#bound : this.#exact, rest.reason, left);
      return;
    }
    for (const piece of unknown) {
      // Something undeclared is in this gap, so a generous bound must not explain all of it away.
      const readings = Math.max(0, Math.min(piece.readings, left - 1));
      add(this.#bound, piece.reason, readings);
      left -= readings;
    }
    this.#missing += left;
  }

  /** After the last item only declarations know. */
  #tail(): void {
    for (const piece of this.#claimed(this.#lastSequence + 1, Number.POSITIVE_INFINITY)) {
      add(piece.whole && !piece.bound ? this.#exact : this.#bound, piece.reason, piece.readings);
    }
  }

  /** The claims within a range; ranges are asked for in order. */
  #claimed(first: number, last: number): Claim[] {
    while (this.#claim < this.#claims.length && this.#claims[this.#claim].last < first) this.#claim++;
    const pieces: Claim[] = [];
    for (let at = this.#claim; at < this.#claims.length && this.#claims[at].first <= last; at++) {
      const claim = this.#claims[at];
      const whole = claim.whole && claim.first >= first && claim.last <= last;
      pieces.push({ ...claim, first: Math.max(claim.first, first), last: Math.min(claim.last, last), whole });
    }
    return pieces;
  }
}

/** Where ranges overlap, the one that begins earlier has it, an exact one before a bound. */
function disjoint(declared: readonly DeclaredRange[]): Claim[] {
  const order = [...declared].sort((a, b) => a.first - b.first || Number(a.bound) - Number(b.bound) || b.last - a.last);
  const claims: Claim[] = [];
  let covered = 0;
  for (const range of order) {
    if (range.last <= covered) continue;
    const first = Math.max(range.first, covered + 1);
    claims.push({ ...range, first, whole: first === range.first });
    covered = range.last;
  }
  return claims;
}

function add(sums: Map<LossReason, number>, reason: LossReason, readings: number): void {
  sums.set(reason, (sums.get(reason) ?? 0) + readings);
}
