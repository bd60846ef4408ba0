import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { AlertHub, WATCH_PAGE } from './alert-hub.js';

function alert(number: number): Alert {
  return {
    number,
    incidentId: new Uint8Array(16),
    state: AlertState.FIRING,
    rule: 'hot',
    ruleVersion: '',
    severity: 'warning',
    device: 'kiln',
    seriesName: 'temperature',
    seriesUnit: '',
    seriesLabels: {},
    value: 1,
    startedAtUs: 0,
    transitionAtUs: 0,
    labels: {},
    annotations: {},
    late: false,
    retracted: false,
    authority: RuleAuthority.COLLECTOR,
  };
}

/** The part of a store that numbers and keeps alerts, in memory; `reads` counts how often it was asked. */
class Alerts {
  readonly all: Alert[] = [];
  reads = 0;

  add(count = 1): void {
    for (let left = count; left > 0; left -= 1) this.all.push(alert(this.all.length + 1));
  }

  async readAlerts(_deviceId: number, cursor: number, limit: number): Promise<Alert[]> {
    this.reads += 1;
    return this.all.filter(({ number }) => number > cursor).slice(0, limit);
  }
}

/** Collects what is delivered, and resolves once a number has come. */
class Sink {
  readonly numbers: number[] = [];
  readonly #waiting: { number: number; resolve: () => void }[] = [];

  readonly take = async ({ number }: Alert): Promise<void> => {
    this.numbers.push(number);
    for (const { number: wanted, resolve } of this.#waiting) if (number >= wanted) resolve();
  };

  until(number: number): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ number, resolve }));
  }
}

describe('watching alerts', () => {
  it('gives everything after the cursor, then what comes, in order and once', async () => {
    const store = new Alerts();
    store.add(2 * WATCH_PAGE + 3);
    const hub = new AlertHub(store);
    const sink = new Sink();
    const stored = sink.until(2 * WATCH_PAGE + 3);
    const watch = hub.watch(1, 5, sink.take, new AbortController().signal);
    await stored;
    const next = sink.until(store.all.length + 1);
    store.add();
    hub.wake(1);
    hub.wake(1);
    await next;
    hub.stop();
    await watch;
    expect(sink.numbers).toEqual(Array.from({ length: store.all.length - 5 }, (_, index) => index + 6));
  });

  it('loses nothing that is stored while it reads, even when the wake comes first', async () => {
    const store = new Alerts();
    const hub = new AlertHub(store);
    const sink = new Sink();
    const read = store.readAlerts.bind(store);
    let once = true;
    store.readAlerts = async (...args) => {
      const page = await read(...args);
      if (once) {
        once = false;
        store.add();
        hub.wake(1);
      }
      return page;
    };
    const first = sink.until(1);
    const watch = hub.watch(1, 0, sink.take, new AbortController().signal);
    await first;
    hub.stop();
    await watch;
    expect(sink.numbers).toEqual([1]);
  });

  it('holds no more than a page for a subscriber that does not read', async () => {
    const store = new Alerts();
    store.add(10_000);
    const hub = new AlertHub(store);
    let refuse: (error: Error) => void = () => {};
    const stuck = new Promise<void>((_, reject) => {
      refuse = reject;
    });
    const watch = hub.watch(1, 0, () => stuck, new AbortController().signal);
    const fast = new Sink();
    const all = fast.until(10_000);
    const other = hub.watch(1, 0, fast.take, new AbortController().signal);
    await all;
    const readsOfFast = Math.ceil(10_000 / WATCH_PAGE);
    expect(store.reads).toBeLessThanOrEqual(readsOfFast + 2);
    refuse(new Error('it does not read'));
    await expect(watch).rejects.toThrow('it does not read');
    expect(hub.watchers).toBe(1);
    hub.stop();
    await other;
    expect(hub.watchers).toBe(0);
  });

  it('gives way to newer watchers of the same device', async () => {
    const hub = new AlertHub(new Alerts());
    const signal = new AbortController().signal;
    const oldest = hub.watch(1, 0, new Sink().take, signal);
    const others = [1, 2, 3, 4].map(() => hub.watch(1, 0, new Sink().take, signal));
    await oldest;
    expect(hub.watchers).toBe(4);
    hub.stop();
    await Promise.all(others);
  });

  it('ends when the caller goes', async () => {
    const hub = new AlertHub(new Alerts());
    const caller = new AbortController();
    const watch = hub.watch(1, 0, new Sink().take, caller.signal);
    caller.abort();
    await watch;
    expect(hub.watchers).toBe(0);
  });

  it('tells whoever watches that its rules are others now, of several changes the last, and goes on with alerts', async () => {
    const store = new Alerts();
    const hub = new AlertHub(store);
    const sink = new Sink();
    const versions: string[] = [];
    let told = () => {};
    const rules = async (version: string): Promise<void> => {
      versions.push(version);
      told();
    };
    const gone = new AbortController();
    const watch = hub.watch(1, 0, sink.take, gone.signal, rules);
    const others: string[] = [];
    const other = hub.watch(2, 0, sink.take, gone.signal, async (version) => {
      others.push(version);
    });
    const last = new Promise<void>((resolve) => {
      told = resolve;
    });
    hub.rulesChanged(1, 'a');
    hub.rulesChanged(1, 'b');
    await last;
    const alert = sink.until(1);
    store.add();
    hub.wake(1);
    await alert;
    expect(versions).toEqual(['b']);
    expect(others).toEqual([]);
    gone.abort();
    await Promise.all([watch, other]);
  });
});
