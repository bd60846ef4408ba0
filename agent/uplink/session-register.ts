import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import { countOf } from '@tributary/core/sequence-ranges/sequence-ranges';
import type { RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { Item } from '@tributary/proto/items/item';
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
    this.#with.state = { state: 'registering', link, call, sentMs: this.#with.outbox.nowMs, deadlineMs, page };
    this.#with.outbox.effect({
      type: 'register',
      link,
      call,
      request: this.#with.registration.request(this.#with.status),
    });
  }

  registered(state: Extract<SessionState, { state: 'registering' }>, response: RegisterResponse): void {
    const tookMs = (response.sentAtUs - response.receivedAtUs) / 1000;
    this.#with.pipe.roundTrip(this.#with.outbox.nowMs - state.sentMs - Math.max(0, tookMs));
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
    this.#with.registerAtMs = Number.POSITIVE_INFINITY;
    this.#registeredAtMs = this.#with.outbox.nowMs;
    this.#with.queue.registered();
    this.settle(state.link, response, this.#with.registration.compare(response));
  }

  /** The buffer's own row of the collector's highest sequence, if it is still there. */
  compared(state: Extract<SessionState, { state: 'comparing' }>, own: Item | undefined): void {
    this.settle(state.link, state.response, this.#with.registration.compareRow(state.response, own));
  }

  /** Settles what was in doubt by what the collector has, and goes on. */
  settle(link: number, response: RegisterResponse, comparison: Comparison): void {
    const { outbox, queue, registration, doubt } = this.#with;
    const { suspectUpTo } = registration;
    // Of a buffer that is suspect one row says nothing about the others: each item gets its own verdict.
    const isCompared = comparison.kind === 'durable' && suspectUpTo === undefined;
    if (comparison.kind === 'look') {
      const call = outbox.id();
      this.#with.state = { state: 'comparing', link, call, response };
      outbox.effect({ type: 'read', call, fromSequence: comparison.sequence, maxBytes: 1, maxItems: 1 });
      return;
    }
    this.#findForgotten(response);
    if (comparison.kind === 'fork') {
      const { upTo } = comparison;
      outbox.log('error', 'the collector knows this buffer from a copy (restored image, cloned card?)', { upTo });
      queue.forked([], upTo, registration.segmentMax);
    } else if (isCompared && comparison.ranges.length > 0) {
      registration.acknowledged(comparison.ranges);
      outbox.effect({ type: 'acknowledge', epoch: registration.epoch, ranges: comparison.ranges });
    }
    // What the collector has under a sequence that could not be compared has its verdict only with its own answer.
    doubt.registered(isCompared ? [] : registration.claimed(response));
    if (suspectUpTo !== undefined && !queue.isForked) {
      outbox.log('warn', 'the buffer was recovered or restored: what it holds is settled, then a new epoch is opened', {
        upTo: suspectUpTo,
      });
      queue.forked([], suspectUpTo, registration.segmentMax);
    }
    const unshared = registration.unshared(response);
    if (unshared.length > 0) queue.forked(unshared, registration.highest, registration.segmentMax);
    this.#upload(link);
  }

  /** A collector that was restored from a backup has less than it said. Those rows are gone: its audit shows them. */
  #findForgotten(response: RegisterResponse): void {
    const forgotten = this.#with.registration.forgotten(response);
    if (forgotten.length === 0) return;
    const items = countOf(forgotten);
    this.#with.counters.itemsForgotten += items;
    this.#with.outbox.log('error', 'the collector does not have any more what it had called durable (restored?)', {
      items,
      first: forgotten[0].first,
      last: forgotten[forgotten.length - 1].last,
      remedy: 'restore a newer backup of the collector; its audit names what is missing',
    });
  }

  failed(link: number, failure: GrpcOutcome): void {
    const { host, outbox } = this.#with;
    const { dropLink, delayMs, why } = host.trouble.failed(failure, 'the collector did not register this device');
    if (dropLink || this.#with.linkLost) host.drop(delayMs, why);
    else this.#with.hold(link, outbox.nowMs + delayMs, 'register', why);
  }

  refusedEpoch(link: number, failure: GrpcOutcome): void {
    this.#with.outbox.log('error', 'the collector refuses this epoch', { details: failure.message });
    if (this.#with.registration.share()) this.look(link);
    else this.openEpoch(link);
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
    this.#with.registerAtMs = 0;
    this.#with.queue.newEpoch();
    this.#with.backlog.clear();
    this.#with.doubt.newEpoch();
    this.#with.outbox.log('warn', 'a new epoch was opened', { epoch: Buffer.from(identity.epoch).toString('hex') });
  }
}
