import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import { glob } from '@tributary/core/rules/glob';
import type { ColumnType } from '@tributary/proto/batch/batch';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { deviceReference } from '../../query/read-scope.js';
import type { StoredIncident } from '../../store/incidents.js';
import type { Store } from '../../store/store.js';
import { EventOrder } from './event-order.js';
import { RealIncidents, type Reality } from './real-incidents.js';
import { ReplayedDevice, type ReplayedIncident, type ReplayedSeries } from './replay-device.js';
import { RuleTotals, type Totals } from './rule-totals.js';

export interface ReplayOptions {
  store: Pick<Store, 'listDevices' | 'listSeries' | 'readRange' | 'catalogue' | 'readIncidents'>;
  rules: readonly CompiledRule[];
  /** Half open, event time in microseconds since the Unix epoch: incidents that fire in it are told. */
  fromUs: number;
  untilUs: number;
  /** How long before `fromUs` the rules begin to look, so that they are warm. */
  leadUs: number;
  /** Pattern of devices, as DEVICE or TENANT/DEVICE. */
  devices: string;
  /** Compare with what was recorded. */
  isCompared: boolean;
  found: (found: Found) => Promise<void> | void;
  progress: (progress: Progress) => void;
}

/** An incident of a device: replayed, or recorded and not found again. */
export type Found =
  | { device: string; kind: 'replayed'; incident: ReplayedIncident; really: Reality | undefined }
  | { device: string; kind: 'only-real'; incident: StoredIncident };

export interface Progress {
  devices: number;
  readings: number;
  device: string;
  /** Event time up to which the device was replayed. */
  atUs: number;
}

export interface ReplayResult {
  devices: number;
  readings: number;
  undecodable: number;
  rules: Totals[];
}

const PAGE = 500;

const COLUMN_TYPES: Readonly<Partial<Record<ValueType, ColumnType>>> = {
  [ValueType.DOUBLE]: 'double',
  [ValueType.BOOLEAN]: 'boolean',
  [ValueType.STRING]: 'string',
};

/** Judges what is stored by some rules, as the collector would have, one device after another. Reads the store only. */
export async function replayRules(options: ReplayOptions): Promise<ReplayResult> {
  const { store, devices } = options;
  const matches = glob(devices);
  const replay = new Replay(options);
  let after = 0;
  for (;;) {
    const page = await store.listDevices(after, PAGE);
    for (const device of page) {
      if (matches(deviceReference(device))) await replay.device(device.deviceId, device, device.attributes);
    }
    if (page.length < PAGE) return replay.result();
    after = page[page.length - 1]!.deviceId;
  }
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #totals: Map<string, RuleTotals>;
  #devices = 0;
  #readings = 0;
  #undecodable = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    const { fromUs, untilUs, rules } = options;
    this.#totals = new Map(rules.map((rule) => [rule.name, new RuleTotals(rule, fromUs, untilUs)]));
  }

  async device(
    deviceId: number,
    name: { tenant: string; device: string },
    attributes: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { store, rules, fromUs, untilUs, leadUs, isCompared, progress } = this.#options;
    const device = deviceReference(name);
    // Only what one stretch has brought: it is told before the next is read.
    const ended: ReplayedIncident[] = [];
    const replayed = new ReplayedDevice(rules, await this.#series(deviceId, name), attributes, (incident) => {
      ended.push(incident);
    });
    const real = isCompared ? await RealIncidents.read(store, deviceId, { fromUs, untilUs }) : undefined;
    this.#devices += 1;
    const range = { deviceId, fromUs: fromUs - leadUs, untilUs };
    const order = new EventOrder({ store, range, series: replayed.seriesIds });
    if (replayed.seriesIds.size > 0) {
      for await (const stretch of order.stretches()) {
        replayed.take(stretch);
        await this.#tell(device, ended.splice(0), real);
        const atUs = Math.min(stretch.untilUs, order.newestUs);
        progress({ devices: this.#devices, readings: this.#readings + order.readings, device, atUs });
      }
    }
    // Time has passed for the device as far as anything came from it: later its link may have been down. Of that very
    // instant more may come.
    replayed.end(order.newestUs - 1);
    this.#readings += order.readings;
    this.#undecodable += order.undecodable;
    await this.#tell(device, ended.splice(0), real);
    for (const incident of real?.unmatched ?? []) {
      const totals = this.#totals.get(incident.alert.rule);
      if (totals === undefined) continue;
      totals.onlyReal += 1;
      await this.#options.found({ device, kind: 'only-real', incident });
    }
  }

  result(): ReplayResult {
    const rules = [...this.#totals.values()].map((totals) => totals.totals());
    return { devices: this.#devices, readings: this.#readings, undecodable: this.#undecodable, rules };
  }

  async #tell(device: string, ended: readonly ReplayedIncident[], real: RealIncidents | undefined): Promise<void> {
    const { fromUs, found } = this.#options;
    for (const incident of ended) {
      // What was over before only warmed the rules up.
      if (incident.endedUs !== undefined && incident.endedUs < fromUs) continue;
      const really = real?.match(incident);
      this.#totals.get(incident.rule.name)!.add(device, incident, really);
      await found({ device, kind: 'replayed', incident, really });
    }
  }

  async #series(deviceId: number, name: { tenant: string; device: string }): Promise<ReplayedSeries[]> {
    const series: ReplayedSeries[] = [];
    for (const { seriesId, name: seriesName, unit, labels, type } of await this.#options.store.listSeries(deviceId)) {
      const columnType = COLUMN_TYPES[type];
      const identity = { tenant: name.tenant, device: name.device, name: seriesName, unit, labels };
      if (columnType !== undefined) series.push({ seriesId, identity, type: columnType });
    }
    return series;
  }
}
