import type { DeferralReason, RejectionReason } from '@tributary/proto/gen/tributary/v1/telemetry';

/** Why a registration was refused; `invalid` is any other fault of the request. */
export type RegistrationRefusal = 'invalid' | 'conflict' | 'too-many-series' | 'too-many-epochs';

/** What ingest has done since it started. Plain numbers: the metrics read them when they are asked. */
export class IngestCounters {
  readingsStored = 0;
  itemsStored = 0;
  bytesStored = 0;
  duplicates = 0;
  forks = 0;
  /** Batches whose readings lie in the future; they are kept and flagged. */
  fromFuture = 0;
  streams = 0;
  streamsOpen = 0;
  commits = 0;
  commitsFailed = 0;
  registrations = 0;
  /** Registrations that were refused, by what was wrong: no device can fill the catalogue of others. */
  readonly registrationsRefused = new Map<RegistrationRefusal, number>();
  readonly rejected = new Map<RejectionReason, number>();
  /** Deferred items, and deferred streams as one each. */
  readonly later = new Map<DeferralReason, number>();

  countRejected(reason: RejectionReason): void {
    this.rejected.set(reason, (this.rejected.get(reason) ?? 0) + 1);
  }

  countRegistrationRefused(reason: RegistrationRefusal): void {
    this.registrationsRefused.set(reason, (this.registrationsRefused.get(reason) ?? 0) + 1);
  }

  countLater(reason: DeferralReason): void {
    this.later.set(reason, (this.later.get(reason) ?? 0) + 1);
  }
}
