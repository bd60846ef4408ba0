import type { Clock } from '@tributary/core/clock/clock';
import type { DeviceCommit, DeviceCommitOutcome, Store } from '../store/store.js';
import { StoreError } from '../store/store-error.js';
import type { CommitPort } from './group-commit.js';

/** What the pump drives. */
export interface PumpedCore {
  wake(): void;
  committed(outcomes: readonly DeviceCommitOutcome[], nowUs: number): void;
  commitFailed(error: unknown): void;
}

export interface CommitPumpOptions {
  store: Store;
  clock: Clock;
  /** How long a commit took, in seconds, from the call to the store to its answer. */
  observeSeconds: (seconds: number) => void;
  bug: (error: unknown, doing: string) => void;
  /** The store has begun to refuse commits, or takes them again (undefined). Called at each change only. */
  storeChanged: (failure: StoreError | undefined) => void;
}

/** The thin host around the group commit: hands it to the store, one at a time, and brings the answer back. */
export class CommitPump implements CommitPort {
  readonly #options: CommitPumpOptions;
  #core: PumpedCore | undefined;
  #refusing: string | undefined;
  #probing = false;

  constructor(options: CommitPumpOptions) {
    this.#options = options;
  }

  /** To be called once, before anything arrives. */
  drive(core: PumpedCore): void {
    this.#core = core;
  }

  wake(): void {
    // After this turn's reads, so that what arrived together is committed together; no timer, so no latency is added.
    setImmediate(() => this.#core?.wake());
  }

  begin(devices: readonly DeviceCommit[]): void {
    const { store, clock, observeSeconds } = this.#options;
    const startUs = clock.monotonicUs();
    const finish = (settle: () => void) => {
      observeSeconds((clock.monotonicUs() - startUs) / 1e6);
      try {
        settle();
      } catch (error) {
        // A bug in ingest: nothing may be acknowledged after it, and the process must not go on as if nothing were.
        this.#options.bug(error, 'settling a commit');
        throw error;
      }
    };
    store.commit(devices, clock.wallUs()).then(
      (outcomes) => {
        this.#noteStore(undefined);
        finish(() => this.#core?.committed(outcomes, clock.wallUs()));
      },
      (error: unknown) => {
        if (error instanceof StoreError) this.#noteStore(error);
        finish(() => this.#core?.commitFailed(error));
      },
    );
  }

  /**
   * While the store refuses, asks it whether it takes commits again: nobody may send meanwhile, because a balancer has taken
   * this collector out. To be called about once a second.
   */
  probe(): void {
    if (this.#refusing === undefined || this.#probing) return;
    this.#probing = true;
    this.#options.store
      .probe()
      .then(
        () => this.#noteStore(undefined),
        (error: unknown) => {
          if (!(error instanceof StoreError)) this.#options.bug(error, 'probing the store');
        },
      )
      .finally(() => {
        this.#probing = false;
      });
  }

  #noteStore(failure: StoreError | undefined): void {
    if (failure?.code === this.#refusing) return;
    this.#refusing = failure?.code;
    this.#options.storeChanged(failure);
  }

  bug(error: unknown, doing: string): void {
    this.#options.bug(error, doing);
  }
}
