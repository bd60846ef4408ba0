import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemScheduler } from '@tributary/core/clock/clock';
import { seededRandom } from '@tributary/core/clock/random';
import { parseConfig } from '@tributary/core/config/load-config';
import { createLogger } from '@tributary/core/log/logger';
import { type Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import * as v from 'valibot';
import { alert, bytes16, register } from '../store/conformance/data.js';
import { SqliteStore } from '../store/sqlite/sqlite-store.js';
import type { Store } from '../store/store.js';
import { Notifier } from './notifier.js';
import { notifySchema } from './notify-schema.js';

/** Signs the webhooks of tests. */
export const SECRET = Buffer.alloc(32, 5);

/** A real store in a folder of its own, a device in it, and notifiers over it. Its wall clock can be put forward. */
export class NotifyWorld {
  readonly dir = mkdtempSync(join(tmpdir(), 'tributary-notify-'));
  /** Lines of the log. */
  readonly said: string[] = [];
  readonly #notifiers: Notifier[] = [];
  #shiftUs = 0;
  #deviceIds: number[] = [];
  #store: SqliteStore | undefined;
  /** Of mortal notifiers: what each has claimed and not settled. */
  readonly #underWay = new Map<object, number>();

  static async open(): Promise<NotifyWorld> {
    const world = new NotifyWorld();
    writeFileSync(join(world.dir, 'secret'), `whsec_${SECRET.toString('base64')}`, { mode: 0o600 });
    await world.openStore();
    return world;
  }

  get store(): SqliteStore {
    if (this.#store === undefined) throw new Error('the store is closed');
    return this.#store;
  }

  nowUs(): number {
    return Date.now() * 1000 + this.#shiftUs;
  }

  async openStore(): Promise<void> {
    this.#store = await SqliteStore.open({ path: join(this.dir, 'data.db') });
    const devices = [await register(this.store, 'd'), await register(this.store, 'e')];
    this.#deviceIds = devices.map(({ deviceId }) => deviceId);
  }

  /** Starts a notifier; `receivers` is YAML, as is `more`, further fields. Nothing waits for an inhibition unless it says so. */
  async notifier(receivers: string, more = 'inhibitWait: 0s', store: Store = this.store): Promise<Notifier> {
    const text = `notify: { receivers: [${receivers}], ${more} }\n`;
    const { notify } = parseConfig(text, join(this.dir, 'collector.yaml'), v.strictObject({ notify: notifySchema }));
    const notifier = new Notifier({
      config: notify,
      store,
      clock: { wallUs: () => this.nowUs(), monotonicUs: () => this.nowUs() },
      scheduler: systemScheduler,
      random: fast,
      logger: createLogger('test', 'info', { write: (line) => void this.said.push(line) }),
    });
    this.#notifiers.push(notifier);
    await notifier.start();
    return notifier;
  }

  /** An incident begins, and everybody is woken. Device 0 or 1. */
  fire(incident: number, changes: Partial<Alert> = {}, device = 0): Promise<void> {
    return this.#append(incident, AlertState.FIRING, changes, device);
  }

  resolve(incident: number, changes: Partial<Alert> = {}, device = 0): Promise<void> {
    return this.#append(incident, AlertState.RESOLVED, changes, device);
  }

  /** Puts the wall clock forward. */
  pass(seconds: number): void {
    this.#shiftUs += seconds * 1_000_000;
    this.wake();
  }

  /**
   * The same once nothing is under way: a delivery is over long before its lease, and takes its time here whatever the wall
   * clock says.
   */
  async passAtRest(seconds: number): Promise<void> {
    await this.until(() => [...this.#underWay.values()].every((count) => count === 0));
    this.pass(seconds);
  }

  wake(): void {
    for (const notifier of this.#notifiers) notifier.wake();
  }

  async silence(globs: Record<string, string>, seconds: number): Promise<string> {
    const nowUs = this.nowUs();
    const silence = await this.store.createSilence({
      silenceId: '',
      matchers: { globs },
      fromUs: nowUs,
      untilUs: nowUs + seconds * 1_000_000,
      comment: '',
      createdBy: 'ada',
      createdAtUs: nowUs,
    });
    return silence!.silenceId;
  }

  /** What the history says of decisions, in order. */
  async decisions(incident: number): Promise<string[]> {
    const events = await this.store.incidentEvents(bytes16(incident));
    return events
      .filter(({ kind }) => kind !== IncidentEventKind.FIRED && kind !== IncidentEventKind.RESOLVED)
      .map(({ kind, text }) => `${IncidentEventKind[kind]} ${text}`);
  }

  /** Waits until the store says so. */
  async until(condition: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Ends all notifiers, as a collector that stops does. */
  async stopAll(graceMs = 2000): Promise<void> {
    await Promise.all(this.#notifiers.splice(0).map((notifier) => notifier.stop(graceMs)));
  }

  /** A notifier as it is in a process that may be killed: from then on nothing that it does reaches the store. */
  async mortalNotifier(receivers: string): Promise<{ kill(): Promise<void> }> {
    let isDead = false;
    const self = {};
    const noteUnderWay = (by: number) => this.#underWay.set(self, (this.#underWay.get(self) ?? 0) + by);
    const store = new Proxy(this.store, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as unknown;
        if (typeof member !== 'function') return member;
        return async (...parameters: unknown[]) => {
          if (isDead) throw new Error('killed');
          const result = await (member.apply(target, parameters) as Promise<unknown>);
          // What was asked for before may still have been done, but nobody hears of it.
          if (isDead) throw new Error('killed');
          if (name === 'claimNotifications')
            noteUnderWay((result as { notifications: unknown[] }).notifications.length);
          if (name === 'settleNotification') noteUnderWay(-1);
          return result;
        };
      },
    });
    const notifier = await this.notifier(receivers, undefined, store);
    return {
      kill: async () => {
        isDead = true;
        this.#underWay.delete(self);
        this.#notifiers.splice(this.#notifiers.indexOf(notifier), 1);
        await notifier.stop(0);
      },
    };
  }

  async closeStore(): Promise<void> {
    await this.#store?.close();
    this.#store = undefined;
  }

  async close(): Promise<void> {
    await this.stopAll(0);
    await this.closeStore();
    rmSync(this.dir, { recursive: true });
  }

  async #append(incident: number, state: AlertState, changes: Partial<Alert>, device: number): Promise<void> {
    const nowUs = this.nowUs();
    const record = alert(this.#deviceIds[device]!, incident, state);
    const times = { startedAtUs: nowUs - 60_000_000, transitionAtUs: nowUs };
    const name = device === 0 ? 'd' : 'e';
    await this.store.appendAlerts(
      [{ ...record, alert: { ...record.alert, device: name, ...times, ...changes } }],
      nowUs,
    );
    this.wake();
  }
}

/** A receiver's YAML. */
export function webhookYaml(name: string, url: string, more = ''): string {
  return `{ name: ${name}, kind: webhook, url: '${url}', secretFile: secret, timeout: 60s${more} }`;
}

const seeded = seededRandom(1);
/** Waits are a fiftieth of what they would be, so that tests need not wait. */
const fast = () => seeded() / 50;
