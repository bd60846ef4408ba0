import type { ThinnedBody } from '@tributary/agent/buffer/thinned-batch';
import type { LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';

/** What is wrong with a batch on purpose, so that somebody must refuse it. */
export type Poison = 'malformed' | 'count' | 'type' | 'too-large' | 'store';

/** Readings whose values are the numbers `firstNumber` and up, as many as `readings` says. */
export interface Production {
  firstNumber: number;
  readings: number;
  poison: Poison | undefined;
  /** Of the first reading: its segment, and its time on that one's line. */
  segment: number;
  oldestUs: number;
}

/** A sequence that a device gave to readings. */
export interface Produced extends Production {
  sequence: number;
  /** As it was put into the buffer; undefined when it never was. */
  checksum: number | undefined;
  body: Uint8Array | undefined;
  /** Why the device gave it up. What is stored nevertheless counts as stored. */
  lost: LossReason | undefined;
  /** When it was appended. */
  atMs: number;
  /** It has left the device, whether it arrived or not. */
  isSent: boolean;
  /** It went to another epoch, under another sequence. */
  isMoved: boolean;
  /** A crash took it; a second one before anything could be declared takes it no further. */
  isTaken: boolean;
  /** Damage has taken the word that it is lost, and nothing else says so. */
  isUnsaid: boolean;
}

/** What a device produced in one epoch: kept outside of the system, so that the system can be held against it. */
export class EpochLedger {
  readonly bySequence = new Map<number, Produced>();
  /** What was declared, by the sequence of the item that says so, as it was when it was put into the buffer. */
  readonly declarations = new Map<number, { checksum: number; entries: readonly LedgerEntry[] }>();
  /** Thinned items, as they were when they were put into the buffer. */
  readonly thinned = new Map<number, { checksum: number; content: ThinnedBody }>();
  /** Sent, and no answer or registration has told what became of it. */
  readonly inDoubt = new Set<number>();
  /** The device could not say exactly what it lost, or of what it had declared before. */
  isBounded = false;
  /** Something of it went to another epoch. */
  isLeft = false;
  /** Something of it was sent. */
  isSent = false;
  /** That were produced. */
  readings = 0;
  /** Of those: in memory alone when the process ended, and not declared yet. */
  readingsInAir = 0;
  /** Were in no batch of the buffer when the process ended; undefined when more may have waited for the disk than usual. */
  readingsWaiting: number | undefined = 0;
  /** By how much bounds are higher than what was produced under their sequences: the device counts with bounds. */
  overstated = 0;
  /** What crashes can have taken, as declared the first time. */
  readonly windows: LedgerEntry[] = [];

  produced(sequence: number, { firstNumber, readings, poison, segment, oldestUs }: Production, atMs: number): Produced {
    const produced: Produced = {
      firstNumber,
      readings,
      poison,
      segment,
      oldestUs,
      sequence,
      atMs,
      checksum: undefined,
      body: undefined,
      lost: undefined,
      isSent: false,
      isMoved: false,
      isTaken: false,
      isUnsaid: false,
    };
    this.bySequence.set(sequence, produced);
    this.readings += readings;
    return produced;
  }

  /** The sequences above this one are free again: the device takes them for never given. Answers what they were. */
  withdraw(highestSequence: number): Produced[] {
    const taken = [...this.above(highestSequence)];
    for (const { sequence, readings } of taken) {
      this.bySequence.delete(sequence);
      this.readings -= readings;
    }
    for (const each of [this.declarations, this.thinned]) {
      for (const sequence of each.keys()) if (sequence > highestSequence) each.delete(sequence);
    }
    return taken;
  }

  /** The process has ended: of what it had appended, only this is on the disk. */
  cutTo(highestSequence: number): void {
    this.readingsInAir = 0;
    for (const { readings } of this.above(highestSequence)) this.readingsInAir += readings;
  }

  /** What was produced under the sequences above this one. */
  *above(sequence: number): Iterable<Produced> {
    for (const produced of this.bySequence.values()) if (produced.sequence > sequence) yield produced;
  }

  /** A crash can have taken these. Answers how many readings it has taken, at the least. */
  window(entry: LedgerEntry): number {
    const taken = this.readingsInAir + (this.readingsWaiting ?? 0);
    this.overstated += entry.readings - this.readingsInAir;
    this.readingsInAir = 0;
    this.readingsWaiting = 0;
    this.windows.push(entry);
    return taken;
  }

  /** Damage has taken what an entry said. */
  unsay({ first, last }: LedgerEntry): void {
    for (let sequence = first; sequence <= last; sequence++) {
      const produced = this.bySequence.get(sequence);
      if (produced !== undefined) produced.isUnsaid = true;
    }
  }

  copy(): EpochLedger {
    const copy = new EpochLedger();
    for (const [sequence, produced] of this.bySequence) copy.bySequence.set(sequence, { ...produced });
    for (const [sequence, declaration] of this.declarations) copy.declarations.set(sequence, declaration);
    for (const [sequence, thinned] of this.thinned) copy.thinned.set(sequence, thinned);
    for (const sequence of this.inDoubt) copy.inDoubt.add(sequence);
    copy.isBounded = this.isBounded;
    copy.isLeft = this.isLeft;
    copy.isSent = this.isSent;
    copy.readings = this.readings;
    copy.readingsInAir = this.readingsInAir;
    copy.overstated = this.overstated;
    copy.windows.push(...this.windows);
    return copy;
  }
}

/** What was committed to one disk. A copy of the disk has a ledger of its own from then on. */
export class DiskLedger {
  readonly device: string;
  /** By epoch in hexadecimal. */
  readonly epochs: Map<string, EpochLedger>;

  constructor(device: string, epochs = new Map<string, EpochLedger>()) {
    this.device = device;
    this.epochs = epochs;
  }

  epoch(epoch: string): EpochLedger {
    let ledger = this.epochs.get(epoch);
    if (ledger === undefined) {
      ledger = new EpochLedger();
      this.epochs.set(epoch, ledger);
    }
    return ledger;
  }

  copy(): DiskLedger {
    return new DiskLedger(this.device, new Map([...this.epochs].map(([epoch, ledger]) => [epoch, ledger.copy()])));
  }
}

/** What names an item in a simulation. */
export function keyOf(device: string, epoch: string, sequence: number): string {
  return `${device}/${epoch.slice(0, 8)}/${sequence}`;
}
