import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import type { RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { BufferIdentity } from '../buffer/buffer.js';
import type { Comparison } from './registration.js';
import type { SessionShared } from './session-shared.js';
import type { SessionState } from './uplink-events.js';

/**
 * The beginning of a session, and again whenever Register is due: the catalogue goes up page by page, what was in doubt is
 * settled by what the collector has, and an epoch that it knows from a copy is left.
 */
export class SessionRegister {
  readonly #with: SessionShared;
  /** Goes on with what waits. */
  readonly #upload: (link: number) => void;
  #registeredAtMs = Number.NEGATIVE_INFINITY;
  #epochAttempts = 0;
  #epochUntilMs = 0;

  constructor(shared: SessionShared, upload: (link: number) => void) {
    this.#with = shared;
    this.#upload = upload;
  }

  /** When Register was last answered. */
  get registeredAtMs(): number {
    return this.#registeredAtMs;
  }

  /** An epoch of this buffer's own is in use. */
  epochHolds(): void {
    this.#epochAttempts = 0;
  }

  look(link: number): void {
    if (this.#with.openingEpoch) {
      this.#with.state = { state: 'opening-epoch', link };
      return;
    }
    const call = this.#with.outbox.id();
    this.#with.state = { state: 'looking', link, call };
    this.#with.outbox.effect({ type: 'status', call });
  }

  register(link: number, page: number): void {
    const call = this.#with.outbox.id();
    const deadlineMs = this.#with.outbox.nowMs + this.#with.queue.limits.registerMs;
    this.#with.state = { state: 'registering', link, call, deadlineMs, page };
    this.#with.outbox.effect({
      type: 'register',
      link,
      call,
      request: this.#with.registration.request(this.#with.status),
    });
  }

  registered(state: Extract<SessionState, { state: 'registering' }>, response: RegisterResponse): void {
    if (response.limits !== undefined) this.#with.queue.accept(response.limits);
    const answer = this.#with.registration.answered(response, state.page);
    if (answer === 'more') {
      this.register(state.link, state.page + 1);
      return;
    }
    if (answer === 'stuck') {
      const why = 'the collector does not take the catalogue';
      this.#with.hold(
        state.link,
        this.#with.outbox.nowMs + this.#with.host.trouble.happened('warn', why),
        'register',
        why,
      );
      return;
    }
    this.#with.counters.registrations++;
    this.#with.registerDue = false;
    this.#registeredAtMs = this.#with.outbox.nowMs;
    this.#with.queue.registered();
    this.settle(state.link, response, this.#with.registration.compare(response));
  }

  /** Settles what was in doubt by what the collector has, and goes on. */
  settle(link: number, response: RegisterResponse, comparison: Comparison): void {
    if (comparison.kind === 'look') {
      const call = this.#with.outbox.id();
      this.#with.state = { state: 'comparing', link, call, response };
      this.#with.outbox.effect({ type: 'read', call, fromSequence: comparison.sequence, maxBytes: 1, maxItems: 1 });
      return;
    }
    if (comparison.kind === 'fork') {
      const { upTo } = comparison;
      this.#with.outbox.log('error', 'the collector knows this buffer from a copy (restored image, cloned card?)', {
        upTo,
      });
      this.#with.queue.forked([], upTo);
    } else if (comparison.kind === 'durable' && comparison.ranges.length > 0) {
      this.#with.outbox.effect({
        type: 'acknowledge',
        epoch: this.#with.registration.epoch,
        ranges: comparison.ranges,
      });
    }
    this.#with.doubt.settle([]);
    this.#upload(link);
  }

  refusedEpoch(link: number, failure: GrpcOutcome): void {
    this.#with.outbox.log('error', 'the collector refuses this epoch', { details: failure.message });
    this.openEpoch(link);
  }

  openEpoch(link: number): void {
    const { nowMs } = this.#with.outbox;
    if (nowMs < this.#epochUntilMs) {
      this.#with.hold(link, this.#epochUntilMs, 'epoch', 'an epoch was opened only just now');
      return;
    }
    this.#epochUntilMs = nowMs + nextDelayMs(this.#epochAttempts++, this.#with.random, this.#with.queue.limits.retry);
    this.#with.openingEpoch = true;
    this.#with.state = { state: 'opening-epoch', link };
    this.#with.outbox.effect({ type: 'open-epoch' });
  }

  /** The buffer has a new epoch, because it was told to open one or because it had to begin anew. */
  epochOpened(identity: BufferIdentity): void {
    this.#with.openingEpoch = false;
    this.#with.counters.epochsOpened++;
    this.#with.registration.newEpoch(identity);
    this.#with.status = undefined;
    this.#with.registerDue = true;
    this.#with.queue.newEpoch();
    this.#with.backlog.clear();
    this.#with.doubt.newEpoch();
    this.#with.outbox.log('warn', 'a new epoch was opened', { epoch: Buffer.from(identity.epoch).toString('hex') });
  }
}
