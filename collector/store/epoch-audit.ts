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

/** Sequences of the epoch that a stored thinned item stands for, and how many readings of theirs it holds. */
export interface ReplacedRange {
  first: number;
  last: number;
  kept: number;
}

/** Where an epoch's readings are. */
export interface EpochBalance {
  /** Stored, declared (bounds included) and missing together. */
  produced: number;
  stored: number;
  /** By reason, exact ones and bounds apart. */
  declared: DeclaredLoss[];
  missing: number;
  doubled: number;
}

/** A part of a declared range that no other declared range claims. */
interface Claim extends DeclaredRange {
  /** Nothing was cut off, so that `readings` speaks of just this range. */
  whole: boolean;
  /** Of `readings`: what was found stored in the range, or attributed to a part of it. */
  used: number;
}

/** What of a claim lies in a gap. */
interface Piece {
  claim: Claim;
  whole: boolean;
  /** The claim ends in this gap. */
  isLast: boolean;
}

/**
 * Balances one epoch: told what is stored, in order of sequence, it attributes what is not.
 *
 * Each item says how many readings were produced before it, so the readings in a gap follow from its neighbours exactly,
 * whatever was declared about it; declarations say why, and how much only where nothing better is known: after the last
 * item, and where a gap is only partly declared. Stored beats declared: what of a declared range is stored is not in a gap.
 *
 * Two kinds of gap hold something else than what was lost. A block of sequences that was reserved and then taken by a crash
 * counts with its bound in every later item, so what its neighbours say of it is the bound again, and stays one. And of a
 * gap that a thinned batch replaces a part is stored, under the sequence of that batch: such gaps are balanced together,
 * against what all thinned batches hold.
 */
export class EpochBalancer {
  readonly #claims: Claim[];
  #claim = 0;
  #lastSequence = 0;
  #readingsEnd = 0;
  #stored = 0;
  #missing = 0;
  #doubled = 0;
  /** Readings of thinned batches, and of those that have expired. */
  #kept = 0;
  #keptExpired = 0;
  /** In order; `kept` is what no original was found for. */
  readonly #replacedRanges: ReplacedRange[];
  #replacedRange = 0;
  /** The gaps that thinned batches replace, as one. */
  readonly #replaced: { left: number; pieces: Piece[]; undeclared: number } = { left: 0, pieces: [], undeclared: 0 };
  readonly #isThinned: boolean;
  readonly #exact = new Map<LossReason, number>();
  readonly #bound = new Map<LossReason, number>();

  constructor(declared: readonly DeclaredRange[], replaced: readonly ReplacedRange[] = []) {
    this.#replacedRanges = replaced.map((range) => ({ ...range })).sort((a, b) => a.first - b.first);
    // What a thinned batch left out and what became of the rest are said of the same range, in two entries that add up.
    const isThinned = ({ reason }: DeclaredRange) => reason === LossReason.THINNED;
    const layers = [declared.filter(isThinned), declared.filter((range) => !isThinned(range))];
    this.#claims = layers.flatMap(disjoint).sort((a, b) => a.first - b.first);
    this.#isThinned = declared.some(isThinned);
  }

  /**
   * A stored item that is whole; one that came before, or stands among those that did, is doubled. `readings` are those
   * that it adds to what was produced, `held` those in its body: a thinned batch adds none.
   */
  stored(sequence: number, readings: number, readingsBefore: number, held = readings): void {
    if (sequence <= this.#lastSequence) {
      this.#doubled += held;
      return;
    }
    this.#gap(sequence, readingsBefore);
    this.#stored += readings;
    const claim = this.#claimOf(sequence);
    if (claim !== undefined) claim.used += readings;
    this.#noteBeside(sequence, readings);
    this.#advance(sequence, readingsBefore + readings);
  }

  /** Items that were stored once and have expired: `readings` of them in all, exactly. */
  expired(first: number, last: number, readings: number, readingsBefore: number): void {
    if (first <= this.#lastSequence) return;
    this.#gap(first, readingsBefore);
    add(this.#exact, LossReason.EXPIRED, readings);
    const claim = this.#claimOf(first);
    if (claim !== undefined) claim.used += readings;
    this.#advance(last, readingsBefore + readings);
  }

  /** Readings that were produced in this epoch and are stored in a thinned batch. */
  kept(readings: number): void {
    this.#kept += readings;
  }

  /** Readings that were, and have expired with it. */
  keptExpired(readings: number): void {
    this.#keptExpired += readings;
  }

  /** Nothing more is stored; the store once had items up to this sequence, which ended at so many readings. */
  finish(highestSequence: number, readingsEnd: number): EpochBalance {
    if (highestSequence > this.#lastSequence) {
      this.#gap(highestSequence + 1, readingsEnd);
      this.#advance(highestSequence, readingsEnd);
    }
    const { left, pieces, undeclared } = this.#replaced;
    // Stored beats declared: what was left out is certain, what is said of the rest only as far as it is not stored.
    pieces.sort((a, b) => Number(isLeftOut(b)) - Number(isLeftOut(a)));
    this.#settle(Math.max(0, left - this.#kept - this.#keptExpired), pieces, undeclared);
    this.#tail();
    this.#stored += this.#kept;
    if (this.#keptExpired > 0) add(this.#exact, LossReason.EXPIRED, this.#keptExpired);
    const losses: DeclaredLoss[] = [];
    for (const [reason, readings] of this.#exact) losses.push({ reason, readings, bound: false });
    for (const [reason, readings] of this.#bound) losses.push({ reason, readings, bound: true });
    const declared = losses
      .filter((loss) => loss.readings > 0)
      .sort((a, b) => a.reason - b.reason || Number(a.bound) - Number(b.bound));
    const declaredReadings = declared.reduce((sum, loss) => sum + loss.readings, 0);
    return {
      produced: this.#stored + declaredReadings + this.#missing,
      stored: this.#stored,
      declared,
      missing: this.#missing,
      doubled: this.#doubled,
    };
  }

  /**
   * An original that stands beside what a stored item has kept of it is there twice, at the most as often as something was
   * kept. A declaration that it was thinned proves nothing: the item may be one that was refused, or dropped in its turn.
   */
  #noteBeside(sequence: number, readings: number): void {
    const ranges = this.#replacedRanges;
    while (this.#replacedRange < ranges.length && ranges[this.#replacedRange].last < sequence) this.#replacedRange++;
    const range = ranges.at(this.#replacedRange);
    if (range === undefined || range.first > sequence) return;
    const twice = Math.min(readings, range.kept);
    range.kept -= twice;
    this.#doubled += twice;
  }

  #advance(sequence: number, readingsEnd: number): void {
    this.#lastSequence = sequence;
    this.#readingsEnd = Math.max(this.#readingsEnd, readingsEnd);
  }

  /** What lies between the last sequence and the next one that is accounted for. */
  #gap(nextSequence: number, readingsBefore: number): void {
    const first = this.#lastSequence + 1;
    const last = nextSequence - 1;
    const left = Math.max(0, readingsBefore - this.#readingsEnd);
    if (first > last) {
      this.#usedUp(last, left);
      return;
    }
    const pieces = this.#claimed(first, last);
    const undeclared = last - first + 1 - coveredSequences(pieces, first, last);
    // A thinned batch that was lost in its turn leaves a gap of no readings, whose entry speaks of those it had kept.
    const isReplaced =
      this.#isThinned &&
      (left === 0 ? pieces.length > 0 : pieces.some(({ claim }) => claim.reason === LossReason.THINNED));
    if (isReplaced) {
      this.#replaced.left += left;
      this.#replaced.pieces.push(...pieces);
      this.#replaced.undeclared += undeclared;
    } else this.#settle(left, pieces, undeclared);
  }

  /** All sequences of a block that a crash took may be stored; the readings that were reserved beyond theirs still count. */
  #usedUp(last: number, left: number): void {
    if (left === 0) return;
    const claim = this.#claimed(last, last).find((piece) => isCrashBound(piece) && piece.isLast)?.claim;
    if (claim === undefined) return;
    const taken = Math.max(0, Math.min(claim.readings - claim.used, left));
    claim.used += taken;
    add(this.#bound, claim.reason, taken);
  }

  /** Attributes the readings of a gap to the pieces that speak of it, and what they do not explain to what is missing. */
  #settle(readings: number, pieces: readonly Piece[], undeclaredSequences: number): void {
    if (readings === 0) return;
    const isOneReason = pieces.every(({ claim }) => claim.reason === pieces[0].claim.reason);
    const isCounted = pieces.some((piece) => isCrashBound(piece) || piece.claim.reason === LossReason.THINNED);
    if (undeclaredSequences === 0 && pieces.length > 0 && isOneReason && !isCounted) {
      add(this.#exact, pieces[0].claim.reason, readings);
      for (const { claim } of pieces) claim.used += claim.readings;
      return;
    }
    let left = readings;
    const take = (piece: Piece, most: number, sums: Map<LossReason, number>) => {
      const taken = Math.max(0, Math.min(most, left));
      piece.claim.used += taken;
      add(sums, piece.claim.reason, taken);
      left -= taken;
    };
    const unknown: Piece[] = [];
    for (const piece of pieces) {
      const { claim, whole, isLast } = piece;
      // All of a reserved block stands in the counts of the items behind it, so what is left of it lies before them.
      if (isCrashBound(piece) && isLast) take(piece, claim.readings - claim.used, this.#bound);
      else if (whole && !claim.bound) take(piece, claim.readings, this.#exact);
      else unknown.push(piece);
    }
    if (undeclaredSequences > 0) {
      // Something undeclared is in this gap, so a generous bound must not explain all of it away.
      for (const piece of unknown)
        take(piece, Math.min(piece.claim.readings - piece.claim.used, left - 1), this.#bound);
      this.#missing += left;
      return;
    }
    const isExact =
      unknown.length > 0 &&
      unknown.every((piece) => piece.claim.reason === unknown[0].claim.reason && !isCrashBound(piece));
    if (isExact) {
      add(this.#exact, unknown[0].claim.reason, left);
      for (const { claim } of unknown) claim.used += claim.readings;
      return;
    }
    for (const piece of unknown) take(piece, piece.claim.readings - piece.claim.used, this.#bound);
    // The neighbours' counts are the truth; what the entries fall short of them goes to the last. But what an entry of a
    // thinned batch falls short of them that batch should hold.
    const rest = unknown.at(-1) ?? pieces.at(-1);
    if (rest === undefined || rest.claim.reason === LossReason.THINNED) this.#missing += left;
    else take(rest, left, unknown.length > 0 || isCrashBound(rest) ? this.#bound : this.#exact);
  }

  /** After the last item only declarations know. */
  #tail(): void {
    for (const piece of this.#claimed(this.#lastSequence + 1, Number.POSITIVE_INFINITY)) {
      const { claim, whole } = piece;
      const readings = Math.max(0, claim.readings - claim.used);
      add(whole && !claim.bound ? this.#exact : this.#bound, claim.reason, readings);
    }
  }

  /** The claim on a sequence; sequences are asked for in order. */
  #claimOf(sequence: number): Claim | undefined {
    while (this.#claim < this.#claims.length && this.#claims[this.#claim].last < sequence) this.#claim++;
    const claim = this.#claims[this.#claim];
    return claim !== undefined && claim.first <= sequence ? claim : undefined;
  }

  /** What claims have of a range; ranges are asked for in order. */
  #claimed(first: number, last: number): Piece[] {
    this.#claimOf(first);
    const pieces: Piece[] = [];
    for (let at = this.#claim; at < this.#claims.length && this.#claims[at].first <= last; at++) {
      const claim = this.#claims[at];
      const whole = claim.whole && claim.first >= first && claim.last <= last;
      if (claim.last >= first) pieces.push({ claim, whole, isLast: claim.last <= last });
    }
    return pieces;
  }
}

/** Of a range, the sequences that some piece speaks of. Pieces are in order of their first sequence. */
function coveredSequences(pieces: readonly Piece[], first: number, last: number): number {
  let covered = first - 1;
  let sequences = 0;
  for (const { claim } of pieces) {
    const until = Math.min(claim.last, last);
    if (until <= covered) continue;
    sequences += until - Math.max(covered, claim.first - 1);
    covered = until;
  }
  return sequences;
}

function isLeftOut({ claim }: Piece): boolean {
  return claim.reason === LossReason.THINNED;
}

/** A bound that the device counted with: what was reserved when it crashed. */
function isCrashBound({ claim }: Piece): boolean {
  return claim.bound && claim.reason === LossReason.CRASH_WINDOW;
}

/**
 * Where ranges overlap, an exact one and a bound that all later counts contain go before any other bound: damage found later
 * is declared as everything that is not there any more, whatever is known of a part of it. Otherwise the one that begins
 * earlier has it.
 */
function disjoint(declared: readonly DeclaredRange[]): Claim[] {
  const isLoose = ({ bound, reason }: DeclaredRange) => bound && reason !== LossReason.CRASH_WINDOW;
  const firm = inOrder(declared.filter((range) => !isLoose(range)));
  const loose = inOrder(declared.filter(isLoose)).flatMap((claim) => cutOut(claim, firm));
  return [...firm, ...loose].sort((a, b) => a.first - b.first);
}

function inOrder(ranges: readonly DeclaredRange[]): Claim[] {
  const order = [...ranges].sort((a, b) => a.first - b.first || Number(a.bound) - Number(b.bound) || b.last - a.last);
  const claims: Claim[] = [];
  let covered = 0;
  for (const range of order) {
    if (range.last <= covered) continue;
    const first = Math.max(range.first, covered + 1);
    claims.push({ ...range, first, whole: first === range.first, used: 0 });
    covered = range.last;
  }
  return claims;
}

/** What a claim has beside others, which are in order. Its readings go with the last piece: they are a bound for all. */
function cutOut(claim: Claim, others: readonly Claim[]): Claim[] {
  const pieces: Claim[] = [];
  let first = claim.first;
  for (const other of others) {
    if (other.last < first) continue;
    if (other.first > claim.last) break;
    if (other.first > first) pieces.push({ ...claim, first, last: other.first - 1, readings: 0, whole: false });
    first = other.last + 1;
  }
  if (first <= claim.last) pieces.push({ ...claim, first, whole: claim.whole && first === claim.first });
  else if (pieces.length > 0) pieces[pieces.length - 1].readings = claim.readings;
  return pieces;
}

function add(sums: Map<LossReason, number>, reason: LossReason, readings: number): void {
  sums.set(reason, (sums.get(reason) ?? 0) + readings);
}
