import type { ClaimedNotification } from '../store/incidents.js';

/** What became of one notification at a receiver. */
export type Delivery =
  | { outcome: 'told' }
  /** The receiver does not answer, or takes nothing now. `waitMs` is what it asks for. */
  | { outcome: 'away'; why: string; waitMs?: number | undefined }
  /** It answers, and will not have this one. */
  | { outcome: 'refused'; why: string }
  /** It says that it will never take anything again. */
  | { outcome: 'gone'; why: string };

/** Somebody who is told of incidents. */
export interface Receiver {
  readonly name: string;
  /** Notifications of one `deliver` at the most. */
  readonly batchMax: number;
  /** How long one `deliver` may take in the worst case, milliseconds. */
  readonly deliverMsMax: number;
  /** Answers in the order of the notifications; never rejects. */
  deliver(notifications: readonly ClaimedNotification[], nowUs: number): Promise<Delivery[]>;
  /** When one that was told just now is to be told again, by the collector's clock; undefined for never. */
  againUs(notification: ClaimedNotification, nowUs: number): number | undefined;
  /** Ends what is under way: it fails. */
  close(): void;
}
