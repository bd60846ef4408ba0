import type { Device } from '@tributary/proto/gen/tributary/v1/query';
import type { ClockAnchor, SegmentDeclaration, ValueType } from '@tributary/proto/gen/tributary/v1/series';
import type Database from 'better-sqlite3';
import type { CatalogueSeries, DeviceName, StoredSeries } from '../store.js';

/** Labels as text that is the same for the same labels, whatever their order. */
export function labelsText(labels: Record<string, string>): string {
  const keys = Object.keys(labels).sort();
  return JSON.stringify(Object.fromEntries(keys.map((key) => [key, labels[key]])));
}

interface SeriesRow {
  id: number;
  series_id: number;
  name: string;
  unit: string;
  labels: string;
  type: ValueType;
}

interface DeviceRow {
  device_id: number;
  device: string;
  tenant: string;
  attributes: string;
  first_seen_us: number;
  last_seen_us: number;
  readings_stored: number;
  items_stored: number;
  readings_waiting: number;
  agent_version: string;
}

/** Reads devices, series and segments. */
export class CatalogueTable {
  readonly #selectDevice;
  readonly #listDevices;
  readonly #listSeries;
  readonly #selectCatalogue;
  readonly #selectSegments;
  readonly #selectAnchors;

  constructor(db: Database.Database) {
    this.#selectDevice = db
      .prepare<[string, string], number>('SELECT device_id FROM devices WHERE tenant = ? AND device = ?')
      .pluck();
    this.#listDevices = db.prepare<[number, number], DeviceRow>(
      `SELECT device_id, device, tenant, attributes, first_seen_us, last_seen_us, readings_stored, items_stored,
         agent_version, (SELECT coalesce(sum(max(0, said_waiting - stored_since_said)), 0) FROM epochs
           WHERE epochs.device_id = devices.device_id) AS readings_waiting
       FROM devices WHERE device_id > ? ORDER BY device_id LIMIT ?`,
    );
    this.#listSeries = db.prepare<[number], SeriesRow>(
      'SELECT *, 0 AS id FROM series WHERE device_id = ? ORDER BY series_id',
    );
    this.#selectCatalogue = db.prepare<[number, number], SeriesRow>(
      `SELECT catalogue.id, series.* FROM catalogue JOIN series USING (series_id)
       WHERE catalogue.device_id = ? AND catalogue.epoch_id = ? ORDER BY catalogue.id`,
    );
    this.#selectSegments = db.prepare<
      [number, number],
      { id: number; boot_id: string; offset_us: number; observed_at_us: number; uncertainty_us: number; state: number }
    >('SELECT * FROM segments WHERE device_id = ? AND epoch_id = ? ORDER BY id');
    this.#selectAnchors = db.prepare<[number, number], ClockAnchor>(
      `SELECT id, segment, at_us AS atUs, offset_us AS offsetUs, uncertainty_us AS uncertaintyUs, state
       FROM anchors WHERE device_id = ? AND epoch_id = ? ORDER BY id`,
    );
  }

  findDevice(name: DeviceName): number | undefined {
    return this.#selectDevice.get(name.tenant, name.device);
  }

  listDevices(afterDeviceId: number, limit: number): (Device & { deviceId: number })[] {
    return this.#listDevices.all(afterDeviceId, limit).map((row) => ({
      deviceId: row.device_id,
      device: row.device,
      tenant: row.tenant,
      attributes: JSON.parse(row.attributes),
      firstSeenUs: row.first_seen_us,
      lastSeenUs: row.last_seen_us,
      readingsStored: row.readings_stored,
      itemsStored: row.items_stored,
      readingsWaiting: row.readings_waiting,
      agentVersion: row.agent_version,
    }));
  }

  listSeries(deviceId: number): StoredSeries[] {
    return this.#listSeries.all(deviceId).map(({ series_id, name, unit, labels, type }) => ({
      seriesId: series_id,
      deviceId,
      name,
      unit,
      labels: JSON.parse(labels),
      type,
    }));
  }

  /** Index is the device's id of the series. */
  catalogue(deviceId: number, epochId: number): (CatalogueSeries | undefined)[] {
    const series: (CatalogueSeries | undefined)[] = [undefined];
    for (const { id, series_id, name, unit, labels, type } of this.#selectCatalogue.iterate(deviceId, epochId)) {
      while (series.length <= id) series.push(undefined);
      series[id] = { seriesId: series_id, declaration: { id, name, unit, labels: JSON.parse(labels), type } };
    }
    return series;
  }

  /** Index is the device's id of the segment. */
  segments(deviceId: number, epochId: number): (SegmentDeclaration | undefined)[] {
    const segments: (SegmentDeclaration | undefined)[] = [undefined];
    for (const row of this.#selectSegments.iterate(deviceId, epochId)) {
      segments[row.id] = {
        id: row.id,
        bootId: row.boot_id,
        offsetUs: row.offset_us,
        observedAtUs: row.observed_at_us,
        uncertaintyUs: row.uncertainty_us,
        state: row.state,
      };
    }
    return segments;
  }

  /** Index is the anchor's id. */
  anchors(deviceId: number, epochId: number): (ClockAnchor | undefined)[] {
    const anchors: (ClockAnchor | undefined)[] = [undefined];
    for (const anchor of this.#selectAnchors.iterate(deviceId, epochId)) {
      anchors[anchor.id] = anchor;
    }
    return anchors;
  }
}
