/** What a violation concerns, as far as it is known; the epoch in hexadecimal. */
export interface Concerned {
  device?: string;
  epoch?: string;
  sequence?: number;
}

/** A promise of the system was broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** Such as I1. */
  readonly invariant: string;
  readonly concerns: Concerned;

  constructor(invariant: string, detail: string, concerns: Concerned = {}) {
    super(detail);
    this.invariant = invariant;
    this.concerns = concerns;
  }
}
