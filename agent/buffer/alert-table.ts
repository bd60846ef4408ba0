/** How far an intent has come. */
export const Standing = {
  /** It was to be done; after a crash nobody can say whether it was begun. */
  open: 0,
  /** It was certainly not begun: the agent ended in order before its turn. */
  kept: 1,
  done: 2,
  failed: 3,
  skipped: 4,
} as const;

export type Standing = (typeof Standing)[keyof typeof Standing];

/** What is to be done about an alert that is being stored. */
export interface NewIntent {
  /** Index of the alert in the same call. */
  alert: number;
  /** Name of the action. */
  action: string;
  standing: typeof Standing.open | typeof Standing.kept;
  /** What is needed to do it after a restart; gone once it is settled. */
  body: Uint8Array;
}

/** An intent that waits. Ids count up, in the order in which they were stored. */
export interface StoredIntent {
  id: number;
  action: string;
  standing: typeof Standing.open | typeof Standing.kept;
  body: Uint8Array;
}

/** What became of an intent. `kept` leaves it for the next start. */
export interface IntentOutcome {
  id: number;
  standing: Exclude<Standing, typeof Standing.open>;
  /** Why it failed or was skipped; a word. */
  reason: string;
}

/** A status that an alert has set. */
export interface StoredStatus {
  name: string;
  value: string;
  /** Event time of the transition that set it, microseconds since the Unix epoch. */
  sinceUs: number;
  /** Incidents that go on, 16 bytes each, the oldest first. */
  incidents: Uint8Array;
}

/** How often the buffer has been salvaged since it was opened: it may have forgotten alerts, and has forgotten all intents. */
export interface Salvages {
  salvages: number;
}

/** What an agent has to go on with after a restart. */
export interface AlertMemory {
  intents: StoredIntent[];
  /** Intents whose rows failed their checksum: removed, and never done. */
  damagedIntents: number;
  statuses: StoredStatus[];
}

/** What became of alerts that were to be stored. */
export interface AlertsStored {
  /** Indices of those that were not stored before. */
  fresh: number[];
  /** Ids of the intents; 0 for one whose alert was stored before. */
  intents: number[];
}

/**
 * The rows about alerts, beside the items and written in the same transactions: transitions that were taken, what is to be
 * done about them, and the statuses that they set.
 */
export interface AlertTable {
  has(incidentId: Uint8Array, key: number): boolean;
  /** The id of the newest transition; 0 for none. */
  newest(): number;
  /** Remembers a transition, and the newest so many of them; answers its id, which is one more than the newest. */
  put(incidentId: Uint8Array, key: number, number: number, keep: number): number;
  /** Forgets the transitions with higher ids, and what was to be done about them. */
  deleteAfter(id: number): void;
  /** Answers its id. Of intents that are settled the newest so many are kept. */
  putIntent(alert: number, intent: Omit<NewIntent, 'alert'>, keepSettled: number): number;
  /** Of an intent that waits; what is settled stays as it is. */
  settle(outcome: IntentOutcome): void;
  /** Intents that wait, in order. */
  waiting(): StoredIntent[];
  /** Ids of intents whose rows fail their checksum. */
  damaged(): number[];
  removeIntent(id: number): void;
  /** Makes one that was kept open: from here on it may be begun at any time. */
  reopen(id: number): void;
  /** Statuses in order of name; one whose row fails its checksum is left out. */
  statuses(): StoredStatus[];
  /** Replaces the status of that name. */
  putStatus(status: StoredStatus): void;
}

/** Another table's alerts, with something to be done before each write. */
export class ForwardedAlertTable implements AlertTable {
  readonly #target: () => AlertTable;
  readonly #beforeWrite: () => void;

  constructor(target: () => AlertTable, beforeWrite: () => void) {
    this.#target = target;
    this.#beforeWrite = beforeWrite;
  }

  has(incidentId: Uint8Array, key: number): boolean {
    return this.#target().has(incidentId, key);
  }

  newest(): number {
    return this.#target().newest();
  }

  waiting(): StoredIntent[] {
    return this.#target().waiting();
  }

  damaged(): number[] {
    return this.#target().damaged();
  }

  statuses(): StoredStatus[] {
    return this.#target().statuses();
  }

  put(incidentId: Uint8Array, key: number, number: number, keep: number): number {
    return this.#write().put(incidentId, key, number, keep);
  }

  deleteAfter(id: number): void {
    this.#write().deleteAfter(id);
  }

  putIntent(alert: number, intent: Omit<NewIntent, 'alert'>, keepSettled: number): number {
    return this.#write().putIntent(alert, intent, keepSettled);
  }

  settle(outcome: IntentOutcome): void {
    this.#write().settle(outcome);
  }

  removeIntent(id: number): void {
    this.#write().removeIntent(id);
  }

  reopen(id: number): void {
    this.#write().reopen(id);
  }

  putStatus(status: StoredStatus): void {
    this.#write().putStatus(status);
  }

  #write(): AlertTable {
    this.#beforeWrite();
    return this.#target();
  }
}
