import { Signal } from './lifecycle.js';
import type { SavedSource, Source } from './source.js';

/** Readings compared as they are. */
export class ValueSource implements Source {
  readonly dueUs = Infinity;
  readonly gridUs = 0;
  readonly steadyUs = 0;
  readonly staleAfterUs: number;
  value = Number.NaN;

  readonly #judge: (value: number) => Signal;

  constructor(judge: (value: number) => Signal, gapUs: number) {
    this.#judge = judge;
    this.staleAfterUs = gapUs;
  }

  take(_timeUs: number, value: number): Signal {
    this.value = value;
    return this.#judge(value);
  }

  pass(): Signal {
    return Signal.NONE;
  }

  skip(): void {}

  restart(): void {}

  resume(): void {}

  save(): SavedSource {
    return {};
  }
}
