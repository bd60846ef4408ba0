import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { Attributes } from '@tributary/core/rules/selection';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';
import type { ColumnType } from '@tributary/proto/batch/batch';
import { type SeriesDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import type { DeviceName } from '../store/store.js';
import { DeviceLine } from './device-line.js';
import { RuleIndex } from './rule-index.js';
import { type Cell, cellsOf, type DeviceTrack, frontierOf, newCell, type SeriesTrack } from './tracks.js';

/**
 * Rules of one series or device that this process keeps in memory at the most: 300 B to 12 kB each, so some gigabytes at the
 * worst. A rule file that matches more is a mistake; what is beyond is not judged, counted and logged.
 */
export const INSTANCES_MAX = 1_000_000;

/** Which rules are in force, and what they know of each series and device. Series are matched with rules once. */
export class RuleHost {
  readonly devices = new Map<number, DeviceTrack>();
  instances = 0;
  /** Rules for a series or device that found no room. */
  instancesRefused = 0;

  #index: RuleIndex;
  readonly #instancesMax: number;
  /** Counts how often other rules were put in force. */
  #generation = 0;

  /** Rules that devices evaluate are none of its business. */
  constructor(rules: readonly CompiledRule[], instancesMax = INSTANCES_MAX) {
    this.#index = new RuleIndex(ofCollector(rules));
    this.#instancesMax = instancesMax;
  }

  /** Grows when other rules are put in force. */
  get generation(): number {
    return this.#generation;
  }

  get rules(): readonly CompiledRule[] {
    return this.#index.rules;
  }

  knows(deviceId: number): boolean {
    return this.devices.has(deviceId);
  }

  /** The device; it must have been introduced. */
  device(deviceId: number): DeviceTrack {
    const device = this.devices.get(deviceId);
    if (device === undefined) throw new RangeError(`device ${deviceId} was not introduced`);
    return device;
  }

  /** Names a device; needed before its first batch. One that is known stays as it is. */
  introduce(deviceId: number, name: DeviceName, attributes: Attributes): DeviceTrack {
    const known = this.devices.get(deviceId);
    if (known !== undefined) return known;
    const device: DeviceTrack = {
      deviceId,
      name,
      attributes,
      line: new DeviceLine(),
      tracks: new Map(),
      deviceCells: [],
      timeCells: [],
      watchCells: [],
      unwatched: new Map(),
      reloadedUs: Number.NEGATIVE_INFINITY,
      toldUs: Number.NEGATIVE_INFINITY,
      position: 0,
      passes: 0,
      dirt: undefined,
      checkpoints: [],
      newCheckpoints: new Map(),
      gone: new Map(),
      changed: false,
    };
    this.devices.set(deviceId, device);
    this.#watchDevice(device);
    return device;
  }

  /** Other attributes may have other rules watch a device; answers what rules leave behind that are not for it any more. */
  setAttributes(device: DeviceTrack, attributes: Attributes): Cell[] {
    if (isSame(device.attributes, attributes)) return [];
    device.attributes = attributes;
    device.reloadedUs = frontierOf(device);
    // Whoever walks through history, and what was matched before, begins anew.
    this.#generation += 1;
    return this.match(device);
  }

  /** Forgets what is in memory of a device. */
  forget(deviceId: number): void {
    const device = this.devices.get(deviceId);
    if (device === undefined) return;
    for (const _ of cellsOf(device)) this.instances -= 1;
    this.devices.delete(deviceId);
  }

  /** The track of a series, made at first sight; undefined when no rule watches it. */
  trackOf(
    device: DeviceTrack,
    seriesId: number,
    declaration: Pick<SeriesDeclaration, 'name' | 'unit' | 'labels' | 'type'>,
  ): SeriesTrack | undefined {
    const known = device.tracks.get(seriesId);
    if (known !== undefined) return known;
    const asked = device.unwatched.get(seriesId);
    if (asked === this.#generation) return undefined;
    const { name, unit, labels, type } = declaration;
    const { tenant, device: deviceName } = device.name;
    const track: SeriesTrack = {
      deviceId: device.deviceId,
      seriesId,
      identity: { tenant, device: deviceName, name, unit, labels },
      type: columnTypeOf(type),
      cells: [],
      memberships: [],
      watchesTime: false,
      timeUs: Number.NEGATIVE_INFINITY,
      epoch: '',
      isLive: false,
      changed: true,
    };
    // Where the rules were others when the series was first asked about, they begin with what comes.
    const beginUs = asked === undefined ? Number.NEGATIVE_INFINITY : device.reloadedUs;
    this.#matchTrack(device, track, beginUs, beginUs);
    if (track.cells.length === 0 && track.memberships.length === 0) {
      device.unwatched.set(seriesId, this.#generation);
      return undefined;
    }
    device.unwatched.delete(seriesId);
    device.tracks.set(seriesId, track);
    return track;
  }

  /**
   * Puts other rules in force. What an unchanged rule knows stays; a new one begins with what comes. Answers what rules that
   * are gone or changed have left behind.
   */
  replace(rules: readonly CompiledRule[]): { device: DeviceTrack; cell: Cell }[] {
    const compiled = ofCollector(rules);
    const before = new Map(this.rules.map((rule) => [rule.name, rule]));
    // The compiled rule of a version stays the same object: cells refer to it.
    const kept = compiled.map((rule) => {
      const old = before.get(rule.name);
      return old?.version === rule.version ? old : rule;
    });
    this.#index = new RuleIndex(kept);
    this.#generation += 1;
    const left: { device: DeviceTrack; cell: Cell }[] = [];
    for (const device of this.devices.values()) {
      device.reloadedUs = frontierOf(device);
      for (const cell of this.match(device)) left.push({ device, cell });
    }
    return left;
  }

  /** Matches all that is known of a device with the rules anew; answers the cells that no longer belong to it. */
  match(device: DeviceTrack): Cell[] {
    const left = new Set(cellsOf(device));
    const inForce = new Set(this.rules);
    const frontierUs = frontierOf(device);
    device.deviceCells = device.deviceCells.filter(({ rule }) => inForce.has(rule));
    for (const track of device.tracks.values()) {
      const { identity } = track;
      track.cells = track.cells.filter(({ rule }) => inForce.has(rule) && rule.selects(identity, device.attributes));
      track.memberships = [];
      this.#matchTrack(device, track, track.timeUs, frontierUs);
    }
    for (const [seriesId, track] of device.tracks) {
      if (track.cells.length > 0 || track.memberships.length > 0) continue;
      device.tracks.delete(seriesId);
      device.unwatched.set(seriesId, this.#generation);
    }
    this.#watchDevice(device);
    const members = new Set([...device.tracks.values()].flatMap((track) => track.memberships.map(({ cell }) => cell)));
    device.deviceCells = device.deviceCells.filter((cell) =>
      cell.rule.watchesDevice ? cell.rule.selectsDevice(cell.identity, device.attributes) : members.has(cell),
    );
    const cells = [...cellsOf(device)];
    device.timeCells = cells.filter(watchesTime);
    device.watchCells = cells.filter(({ rule }) => rule.watchesDevice);
    for (const cell of cells) left.delete(cell);
    for (const { seriesId, rule } of left) device.gone.set(`${seriesId}/${rule.name}`, { seriesId, rule: rule.name });
    this.instances -= left.size;
    device.changed = true;
    return [...left];
  }

  /** The instance of a rule over a device was replaced: what it calls the series is asked anew. */
  rejoin(device: DeviceTrack, cell: Cell): void {
    for (const track of device.tracks.values()) {
      const at = track.memberships.findIndex((membership) => membership.cell === cell);
      if (at < 0) continue;
      const member = cell.rule.join(cell.instance, track.identity, device.attributes, track.type);
      if (member >= 0) track.memberships[at] = { cell, member };
      else track.memberships.splice(at, 1);
    }
  }

  #matchTrack(device: DeviceTrack, track: SeriesTrack, beginUs: number, deviceBeginUs: number): void {
    const { identity, type } = track;
    for (const rule of this.#index.candidates(identity.name)) {
      if (!rule.selects(identity, device.attributes) || !rule.takes(type)) continue;
      if (rule.scope === 'device') this.#joinDevice(device, track, rule, deviceBeginUs);
      else if (!track.cells.some((cell) => cell.rule === rule) && this.#hasRoom()) {
        const cell = newCell(rule, track.seriesId, identity, beginUs);
        track.cells.push(cell);
        if (watchesTime(cell)) device.timeCells.push(cell);
      }
    }
    track.watchesTime =
      track.cells.some(({ rule }) => rule.watchesTime) || track.memberships.some(({ cell }) => cell.rule.watchesTime);
  }

  #joinDevice(device: DeviceTrack, track: SeriesTrack, rule: CompiledRule, beginUs: number): void {
    let cell = device.deviceCells.find((one) => one.rule === rule);
    if (cell === undefined) {
      if (!this.#hasRoom()) return;
      cell = newCell(rule, 0, deviceIdentity(device.name), beginUs);
      device.deviceCells.push(cell);
      if (watchesTime(cell)) device.timeCells.push(cell);
    }
    const member = rule.join(cell.instance, track.identity, device.attributes, track.type);
    if (member >= 0) track.memberships.push({ cell, member });
  }

  #watchDevice(device: DeviceTrack): void {
    const identity = deviceIdentity(device.name);
    for (const rule of this.#index.ofDevices) {
      if (!rule.selectsDevice(identity, device.attributes)) continue;
      if (device.deviceCells.some((cell) => cell.rule === rule) || !this.#hasRoom()) continue;
      const cell = newCell(rule, 0, identity);
      device.deviceCells.push(cell);
      device.watchCells.push(cell);
    }
  }

  #hasRoom(): boolean {
    if (this.instances < this.#instancesMax) {
      this.instances += 1;
      return true;
    }
    this.instancesRefused += 1;
    return false;
  }
}

function ofCollector(rules: readonly CompiledRule[]): CompiledRule[] {
  return rules.filter(({ authority }) => authority === 'collector');
}

function watchesTime({ rule }: Cell): boolean {
  return rule.watchesTime && !rule.watchesDevice;
}

/** What a rule over a device is about: no series. */
function deviceIdentity({ tenant, device }: DeviceName): SeriesIdentity {
  return { tenant, device, name: '', unit: '', labels: {} };
}

function columnTypeOf(type: ValueType): ColumnType {
  if (type === ValueType.STRING) return 'string';
  return type === ValueType.BOOLEAN ? 'boolean' : 'double';
}

function isSame(a: Attributes, b: Attributes): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
