/** What happened to the notifications of one receiver since this process started. */
export interface NotifyCounters {
  /** Taken by the receiver, repetitions included. */
  sent: number;
  /** Attempts that failed, by `away`, `refused` and `gone`. */
  failed: Map<string, number>;
  /** Given up, by reason. */
  dropped: Map<string, number>;
  /** Times that one was held back, by reason. */
  held: Map<string, number>;
  /** Nobody was to be told, by reason. */
  skipped: Map<string, number>;
  /** The receiver has said that it will take nothing any more. */
  gone: boolean;
}

export function newNotifyCounters(): NotifyCounters {
  return { sent: 0, failed: new Map(), dropped: new Map(), held: new Map(), skipped: new Map(), gone: false };
}

export function count(counts: Map<string, number>, reason: string): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}
