import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { Store } from '../store/store.js';

/**
 * Alerts that one watcher holds in memory at most, 2 kB each: what does not go out stays in the store. A hundred that are
 * frozen hold 6 MB.
 */
export const WATCH_PAGE = 32;

/** An agent has one watcher; a second one is its next start while the first connection is not yet known to be dead. */
const WATCHERS_PER_DEVICE_MAX = 4;

/** Takes alerts one after another, at its own pace. It resolves when it can take the next, and rejects to end the watch. */
export type AlertSink = (alert: Alert) => Promise<void>;

/** Takes the version of rules that the device is to evaluate; otherwise as {@link AlertSink}. */
export type RulesSink = (version: string) => Promise<void>;

interface Watcher {
  woken: boolean;
  wake: (() => void) | undefined;
  ended: boolean;
  /** The version of rules that is to be told; of several the last. */
  rules: string | undefined;
}

/**
 * Wakes who watches a device's alerts. A wake carries nothing: each watcher reads the store from its own cursor, in order
 * of number, so a wake that is missed or comes twice changes nothing.
 */
export class AlertHub {
  readonly #store: Pick<Store, 'readAlerts'>;
  readonly #watchers = new Map<number, Set<Watcher>>();
  #stopped = false;

  constructor(store: Pick<Store, 'readAlerts'>) {
    this.#store = store;
  }

  get watchers(): number {
    let count = 0;
    for (const watchers of this.#watchers.values()) count += watchers.size;
    return count;
  }

  /** A device has other rules to evaluate now: tells whoever watches its alerts, before the next of them. */
  rulesChanged(deviceId: number, version: string): void {
    for (const watcher of this.#watchers.get(deviceId) ?? []) {
      watcher.rules = version;
      wake(watcher);
    }
  }

  /** A device has new alerts in the store. */
  wake(deviceId: number): void {
    for (const watcher of this.#watchers.get(deviceId) ?? []) wake(watcher);
  }

  /**
   * Hands every alert of a device with a number above `cursor` to `sink`, those that are there and those that come, until
   * `signal` aborts, the hub stops or a newer watcher takes the place. Rules that change go to `rulesSink`.
   */
  async watch(
    deviceId: number,
    cursor: number,
    sink: AlertSink,
    signal: AbortSignal,
    rulesSink: RulesSink = async () => {},
  ): Promise<void> {
    if (this.#stopped || signal.aborted) return;
    const watcher: Watcher = { woken: true, wake: undefined, ended: false, rules: undefined };
    const end = () => {
      watcher.ended = true;
      wake(watcher);
    };
    signal.addEventListener('abort', end, { once: true });
    this.#enter(deviceId, watcher);
    try {
      await this.#deliver(deviceId, cursor, sink, rulesSink, watcher);
    } finally {
      signal.removeEventListener('abort', end);
      this.#leave(deviceId, watcher);
    }
  }

  /** Ends every watch. */
  stop(): void {
    this.#stopped = true;
    for (const watchers of this.#watchers.values()) {
      for (const watcher of watchers) {
        watcher.ended = true;
        wake(watcher);
      }
    }
  }

  async #deliver(
    deviceId: number,
    cursor: number,
    sink: AlertSink,
    rulesSink: RulesSink,
    watcher: Watcher,
  ): Promise<void> {
    let last = cursor;
    while (!watcher.ended) {
      // Before the read: what is stored during it wakes again.
      watcher.woken = false;
      const { rules } = watcher;
      watcher.rules = undefined;
      if (rules !== undefined) await rulesSink(rules);
      if (watcher.ended) return;
      const page = await this.#store.readAlerts(deviceId, last, WATCH_PAGE);
      for (const alert of page) {
        if (watcher.ended) return;
        await sink(alert);
        last = alert.number;
      }
      if (page.length < WATCH_PAGE && !watcher.woken && !watcher.ended) {
        await new Promise<void>((resolve) => {
          watcher.wake = resolve;
        });
      }
    }
  }

  #enter(deviceId: number, watcher: Watcher): void {
    let watchers = this.#watchers.get(deviceId);
    if (watchers === undefined) {
      watchers = new Set();
      this.#watchers.set(deviceId, watchers);
    }
    if (watchers.size >= WATCHERS_PER_DEVICE_MAX) {
      const [oldest] = watchers;
      oldest!.ended = true;
      wake(oldest!);
      watchers.delete(oldest!);
    }
    watchers.add(watcher);
  }

  #leave(deviceId: number, watcher: Watcher): void {
    const watchers = this.#watchers.get(deviceId);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watchers.delete(deviceId);
  }
}

function wake(watcher: Watcher): void {
  watcher.woken = true;
  const { wake: waiting } = watcher;
  watcher.wake = undefined;
  waiting?.();
}
