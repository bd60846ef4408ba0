import type { LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';

/** What is wrong with a batch on purpose, so that somebody must refuse it. */
export type Poison = 'malformed' | 'count' | 'type' | 'too-large' | 'store';

/** Readings whose values are the numbers `firstNumber` and up, as many as `readings` says. */
export interface Production {
  firstNumber: number;
  readings: number;
  poison: Poison | undefined;
}

/** A sequence that a device gave to readings. */
export interface Produced extends Production {
  sequence: number;
  /** As it was put into the buffer; undefined when it never was. */
  checksum: number | undefined;
  body: Uint8Array | undefined;
  /** Why the device gave it up. What is stored nevertheless counts as stored. */
  lost: LossReason | undefined;
}

/** What a device produced in one epoch: kept outside of the system, so that the system can be held against it. */
export class EpochLedger {
  readonly bySequence = new Map<number, Produced>();
  /** What was declared, by the sequence of the item that says so, as it was when it was put into the buffer. */
  readonly declarations = new Map<number, { checksum: number; entries: readonly LedgerEntry[] }>();
  /** The device could not say exactly what it lost, or of what it had declared before. */
  isBounded = false;
  /** That were produced. */
  readings = 0;

  produced(sequence: number, { firstNumber, readings, poison }: Production): void {
    const produced = { sequence, firstNumber, readings, poison, checksum: undefined, body: undefined, lost: undefined };
    this.bySequence.set(sequence, produced);
    this.readings += readings;
  }
}
