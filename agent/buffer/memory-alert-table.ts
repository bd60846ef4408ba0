import {
  type AlertTable,
  type IntentOutcome,
  type NewIntent,
  Standing,
  type StoredIntent,
  type StoredStatus,
} from './alert-table.js';

interface Intent {
  id: number;
  alert: number;
  action: string;
  standing: Standing;
  body: Uint8Array;
}

/** Rows in memory. `write` is called before each change, with what takes it back. */
export class MemoryAlertTable implements AlertTable {
  /** Ids by incident and key, the oldest first. */
  readonly #alerts = new Map<string, number>();
  readonly #intents = new Map<number, Intent>();
  readonly #statuses = new Map<string, StoredStatus>();
  readonly #write: (undo: () => void) => void;
  #newest = 0;

  constructor(write: (undo: () => void) => void) {
    this.#write = write;
  }

  has(incidentId: Uint8Array, key: number): boolean {
    return this.#alerts.has(keyOf(incidentId, key));
  }

  newest(): number {
    return this.#newest;
  }

  put(incidentId: Uint8Array, key: number, _number: number, keep: number): number {
    const text = keyOf(incidentId, key);
    this.#write(() => {
      this.#alerts.delete(text);
      this.#newest--;
    });
    this.#alerts.set(text, ++this.#newest);
    for (const [oldest, id] of this.#alerts) {
      if (id > this.#newest - keep) break;
      this.#forget(oldest, id);
    }
    return this.#newest;
  }

  deleteAfter(id: number): void {
    for (const [text, each] of this.#alerts) if (each > id) this.#forget(text, each);
    for (const intent of this.#intents.values()) if (intent.alert > id) this.#drop(intent);
    const before = this.#newest;
    this.#write(() => {
      this.#newest = before;
    });
    this.#newest = Math.min(before, id);
  }

  putIntent(alert: number, { action, standing, body }: Omit<NewIntent, 'alert'>, keepSettled: number): number {
    const id = Math.max(0, ...this.#intents.keys()) + 1;
    this.#write(() => this.#intents.delete(id));
    this.#intents.set(id, { id, alert, action, standing, body });
    for (const intent of this.#intents.values()) {
      if (intent.id <= id - keepSettled && intent.standing > Standing.kept) this.#drop(intent);
    }
    return id;
  }

  settle({ id, standing }: IntentOutcome): void {
    const before = this.#intents.get(id);
    if (before === undefined || before.standing > Standing.kept) return;
    this.#write(() => this.#intents.set(id, before));
    const body = standing === Standing.kept ? before.body : new Uint8Array(0);
    this.#intents.set(id, { ...before, standing, body });
  }

  waiting(): StoredIntent[] {
    return [...this.#intents.values()]
      .filter((intent): intent is Intent & StoredIntent => intent.standing <= Standing.kept)
      .map(({ id, action, standing, body }) => ({ id, action, standing, body }));
  }

  damaged(): number[] {
    return [];
  }

  removeIntent(id: number): void {
    const intent = this.#intents.get(id);
    if (intent !== undefined) this.#drop(intent);
  }

  reopen(id: number): void {
    const before = this.#intents.get(id);
    if (before?.standing !== Standing.kept) return;
    this.#write(() => this.#intents.set(id, before));
    this.#intents.set(id, { ...before, standing: Standing.open });
  }

  statuses(): StoredStatus[] {
    return [...this.#statuses.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  putStatus(status: StoredStatus): void {
    const before = this.#statuses.get(status.name);
    this.#write(() => {
      if (before === undefined) this.#statuses.delete(status.name);
      else this.#statuses.set(status.name, before);
    });
    this.#statuses.set(status.name, status);
  }

  #forget(text: string, id: number): void {
    this.#write(() => this.#restoreInOrder(this.#alerts, text, id, (value) => value));
    this.#alerts.delete(text);
  }

  #drop(intent: Intent): void {
    this.#write(() => this.#restoreInOrder(this.#intents, intent.id, intent, ({ id }) => id));
    this.#intents.delete(intent.id);
  }

  /** Puts an entry back where it was: maps keep the order in which their keys came. */
  #restoreInOrder<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, id: (value: Value) => number): void {
    const all = [...map, [key, value] as const].sort(([, one], [, other]) => id(one) - id(other));
    map.clear();
    for (const [each, its] of all) map.set(each, its);
  }
}

function keyOf(incidentId: Uint8Array, key: number): string {
  return `${Buffer.from(incidentId).toString('hex')}/${key}`;
}
