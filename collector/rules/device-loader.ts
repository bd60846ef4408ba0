import type { Clock } from '@tributary/core/clock/clock';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { DerivedMark, RuleStateRow, Store, StoredSeries } from '../store/store.js';
import type { AlertOutbox } from './alert-outbox.js';
import type { RuleHost } from './rule-host.js';
import { type LeftIncident, restoreRows } from './rule-rows.js';
import { soil, VERSIONS_A_COMMIT } from './tracks.js';

export interface DeviceLoaderOptions {
  store: Store;
  host: RuleHost;
  outbox: AlertOutbox;
  clock: Pick<Clock, 'wallUs'>;
  nowMs: () => number;
}

const DEVICES_PAGE = 1000;

/** Takes up what the store has of devices: who they are, what rules know of them, and up to where they are digested. */
export class DeviceLoader {
  readonly #options: DeviceLoaderOptions;

  constructor(options: DeviceLoaderOptions) {
    this.#options = options;
  }

  /**
   * Takes up all devices, without asking for each of them. One whose mark another process moves meanwhile is left out: it is
   * loaded when a commit of it comes by. Answers the marks of the others.
   */
  async loadAll(withRules: boolean): Promise<{ loaded: DerivedMark[]; kept: Map<number, DerivedMark['kept']> }> {
    const { store, host } = this.#options;
    await this.#introduceAll();
    const before = new Map((await store.derivedMarks()).map(({ deviceId, position }) => [deviceId, position]));
    const states = withRules ? await this.#allStates() : new Map<number, RuleStateRow[]>();
    const marks = await store.derivedMarks();
    const loaded = marks.filter(({ deviceId, position }) => host.knows(deviceId) && before.get(deviceId) === position);
    if (withRules) {
      for (const { deviceId, position } of loaded) await this.#restore(deviceId, states.get(deviceId) ?? [], position);
      await this.#soilUnsettled();
    }
    return { loaded, kept: new Map(marks.map(({ deviceId, kept }) => [deviceId, kept])) };
  }

  /** Names all devices of the store to the rules. */
  async #introduceAll(): Promise<void> {
    const { store, host } = this.#options;
    let after = 0;
    for (;;) {
      const page = await store.listDevices(after, DEVICES_PAGE);
      for (const { deviceId, tenant, device, attributes } of page)
        host.introduce(deviceId, { tenant, device }, attributes);
      if (page.length < DEVICES_PAGE) return;
      after = page[page.length - 1]!.deviceId;
    }
  }

  /** What rules know of all devices, without checkpoints. */
  async #allStates(): Promise<Map<number, RuleStateRow[]>> {
    const states = new Map<number, RuleStateRow[]>();
    for (const row of await this.#options.store.loadRuleStates()) {
      const rows = states.get(row.deviceId);
      if (rows === undefined) states.set(row.deviceId, [row]);
      else rows.push(row);
    }
    return states;
  }

  /** Takes up one device. Another process may save while this reads: then it is read again. */
  async load(deviceId: number, withRules: boolean): Promise<DerivedMark> {
    const { store, host } = this.#options;
    if (!host.knows(deviceId)) {
      const [found] = await store.listDevices(deviceId - 1, 1);
      if (found?.deviceId !== deviceId)
        throw new Error(`the store has commits of device ${deviceId}, but not the device`);
      host.introduce(deviceId, { tenant: found.tenant, device: found.device }, found.attributes);
    }
    for (;;) {
      const [mark] = await store.derivedMarks(deviceId);
      if (mark === undefined) throw new Error(`the store has commits of device ${deviceId}, but not the device`);
      if (!withRules) return mark;
      const rows = await store.loadRuleStates({ deviceId });
      const [after] = await store.derivedMarks(deviceId);
      if (after?.position !== mark.position) continue;
      await this.#restore(deviceId, rows, mark.position);
      await this.#soilUnsettled(deviceId);
      return mark;
    }
  }

  /**
   * What was said of an incident by a process that then could not save what it knew is judged anew: time that had passed for
   * that one is not known to have passed any more, and nobody else would end what it has told.
   */
  async #soilUnsettled(deviceId?: number): Promise<void> {
    const { store, host, nowMs } = this.#options;
    for (const one of await store.unsettledIncidents(VERSIONS_A_COMMIT, deviceId)) {
      const device = host.devices.get(one.deviceId);
      if (device !== undefined) soil(device, one.startedAtUs - 1, nowMs());
    }
  }

  /** Takes up rows that belong to a mark. Incidents whose rules are gone or changed end. */
  async #restore(deviceId: number, rows: readonly RuleStateRow[], position: number): Promise<void> {
    const { store, host, nowMs } = this.#options;
    const series = new Map<number, StoredSeries>();
    if (rows.length > 0) for (const one of await store.listSeries(deviceId)) series.set(one.seriesId, one);
    const device = host.device(deviceId);
    device.position = position;
    const left = restoreRows(host, device, rows, series, position, nowMs());
    for (const one of left) await this.#end(one);
  }

  /** The words of the rule are in the store, with its incident; the rule itself is gone. */
  async #end({ incident, timeUs }: LeftIncident): Promise<void> {
    const { store, outbox } = this.#options;
    const stored = await store.findIncident(incident.id);
    if (stored === undefined || stored.resolvedAtUs !== undefined) return;
    const { deviceId, seriesId, alert, startedAtUs, notified } = stored;
    const reason = 'the rule was changed or removed';
    outbox.push({
      deviceId,
      seriesId,
      alert: {
        ...alert,
        number: 0,
        state: AlertState.RESOLVED,
        value: Number.NaN,
        startedAtUs,
        transitionAtUs: Math.max(incident.firedAtUs, Number.isFinite(timeUs) ? timeUs : incident.firedAtUs),
        annotations: { ...alert.annotations, reason },
        late: !notified,
      },
    });
  }
}
