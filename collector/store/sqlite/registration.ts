import { clockRank, isVouched } from '@tributary/core/clock/clock-observation';
import type {
  ClockAnchor,
  SegmentDeclaration,
  SeriesDeclaration,
  ValueType,
} from '@tributary/proto/gen/tributary/v1/series';
import type Database from 'better-sqlite3';
import { nextFencingToken } from '../fencing-token.js';
import {
  ANCHORS_PER_EPOCH_MAX,
  type CatalogueSeries,
  CLOCK_ID_MAX,
  EPOCHS_PER_DEVICE_MAX,
  type RegisteredEpoch,
  type Registration,
  type RegistrationOutcome,
  SEGMENTS_PER_EPOCH_MAX,
} from '../store.js';
import { CatalogueTable, labelsText } from './catalogue.js';
import { noteSaid } from './commit.js';
import type { DeviceCache } from './device-cache.js';
import { EpochInterner } from './epoch-interner.js';

/** Ends the transaction without a trace. */
class Refused extends Error {
  readonly outcome: RegistrationOutcome;

  constructor(outcome: RegistrationOutcome) {
    super(outcome.outcome);
    this.outcome = outcome;
  }
}

interface DeviceRow {
  device_id: number;
  start_id: Buffer;
  fencing_token: number;
  alert_cursor: number;
}

/** Interns devices, epochs, series, segments and anchors. */
export class Registrar {
  readonly #cache: DeviceCache;
  readonly #epochs: EpochInterner;
  readonly #catalogue: CatalogueTable;
  readonly #selectDevice;
  readonly #insertDevice;
  readonly #updateDevice;
  readonly #updateSaid;
  readonly #selectSeries;
  readonly #insertSeries;
  readonly #countSeries;
  readonly #insertCatalogue;
  readonly #putSegment;
  readonly #insertAnchor;
  readonly #run;

  constructor(db: Database.Database, cache: DeviceCache) {
    this.#cache = cache;
    this.#epochs = new EpochInterner(db);
    this.#catalogue = new CatalogueTable(db);
    this.#selectDevice = db.prepare<[string, string], DeviceRow>(
      'SELECT device_id, start_id, fencing_token, alert_cursor FROM devices WHERE tenant = ? AND device = ?',
    );
    this.#insertDevice = db.prepare<unknown[], DeviceRow>(
      `INSERT INTO devices (tenant, device, start_id, fencing_token, agent_version, attributes, first_seen_us, last_seen_us)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING device_id, start_id, fencing_token, alert_cursor`,
    );
    this.#updateDevice = db.prepare(
      `UPDATE devices SET start_id = ?, fencing_token = ?, agent_version = ?, attributes = ?,
         last_seen_us = max(last_seen_us, ?) WHERE device_id = ?`,
    );
    this.#updateSaid = db.prepare(
      `UPDATE epochs SET said_produced = ?, said_waiting = ?, stored_since_said = ?, moved_up_to = ?
       WHERE device_id = ? AND epoch_id = ?`,
    );
    this.#selectSeries = db
      .prepare<[number, string, string, string, ValueType], number>(
        'SELECT series_id FROM series WHERE device_id = ? AND name = ? AND unit = ? AND labels = ? AND type = ?',
      )
      .pluck();
    this.#insertSeries = db
      .prepare<[number, string, string, string, ValueType], number>(
        'INSERT INTO series (device_id, name, unit, labels, type) VALUES (?, ?, ?, ?, ?) RETURNING series_id',
      )
      .pluck();
    this.#countSeries = db.prepare<[number], number>('SELECT count(*) FROM series WHERE device_id = ?').pluck();
    this.#insertCatalogue = db.prepare(
      'INSERT INTO catalogue (device_id, epoch_id, id, series_id) VALUES (?, ?, ?, ?)',
    );
    this.#putSegment = db.prepare(
      `INSERT INTO segments (device_id, epoch_id, id, boot_id, offset_us, observed_at_us, uncertainty_us, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET offset_us = excluded.offset_us, observed_at_us = excluded.observed_at_us,
         uncertainty_us = excluded.uncertainty_us, state = excluded.state`,
    );
    this.#insertAnchor = db.prepare(
      `INSERT INTO anchors (device_id, epoch_id, id, segment, at_us, offset_us, uncertainty_us, state)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#run = db.transaction((registration: Registration) => this.#register(registration)).immediate;
  }

  register(registration: Registration): RegistrationOutcome {
    this.#cache.trim();
    try {
      return this.#run(registration);
    } catch (error) {
      this.#cache.clear();
      if (!(error instanceof Refused)) throw error;
      if (error.outcome.outcome === 'conflict') this.#noteCopies(registration);
      return error.outcome;
    }
  }

  /** What contradicts what is known comes from a copy. */
  #noteCopies({ name, epochs }: Registration): void {
    const device = this.#selectDevice.get(name.tenant, name.device);
    if (device === undefined) return;
    for (const said of epochs) {
      const epochId = this.#epochs.find(device.device_id, said.epoch);
      if (epochId === undefined) continue;
      const epoch = this.#cache.epoch(device.device_id, epochId);
      if (epoch !== undefined) this.#cache.noteCopied(device.device_id, epochId, epoch);
    }
  }

  #register(registration: Registration): RegistrationOutcome {
    const device = this.#internDevice(registration);
    const deviceId = device.device_id;
    const epochs: RegisteredEpoch[] = [];
    for (const said of registration.epochs) {
      const epochId = this.#epochs.intern(deviceId, said.epoch);
      // They are numbered from 1 without a gap. What is known already is taken however many there are.
      if (epochId > EPOCHS_PER_DEVICE_MAX && this.#cache.epoch(deviceId, epochId)?.highestSequence === 0) {
        const hex = Buffer.from(said.epoch).toString('hex');
        const detail = `epoch ${hex} is beyond the ${EPOCHS_PER_DEVICE_MAX} that a device may have; see why it opens so many`;
        throw new Refused({ outcome: 'too-many-epochs', detail });
      }
      const epoch = this.#cache.epoch(deviceId, epochId);
      if (epoch === undefined) throw new Error('an epoch vanished within its transaction');
      // It never gave some of the sequences that are stored: somebody else has.
      if (said.highestSequence < epoch.highestSequence) this.#cache.noteCopied(deviceId, epochId, epoch);
      noteSaid(epoch, said.readingsProduced, said.readingsWaiting, 0);
      // What it holds before anything of it has come may be another epoch's, moved here.
      if (epoch.highestSequence === 0) epoch.movedUpTo = said.highestSequence;
      const { saidProduced, saidWaiting, storedSinceSaid, movedUpTo } = epoch;
      this.#updateSaid.run(saidProduced, saidWaiting, storedSinceSaid, movedUpTo, deviceId, epochId);
      const cached = this.#cache.device(deviceId);
      if (cached !== undefined) cached.newestEpochId = Math.max(cached.newestEpochId, epochId);
      const series = this.#catalogue.catalogue(deviceId, epochId);
      const segments = this.#catalogue.segments(deviceId, epochId);
      const anchors = this.#catalogue.anchors(deviceId, epochId);
      if (epochs.length === 0) {
        this.#declareSeries(registration, deviceId, epochId, series);
        this.#declareSegments(registration, deviceId, epochId, segments);
        this.#declareAnchors(registration, deviceId, epochId, anchors);
      }
      epochs.push({
        epochId,
        epoch: said.epoch,
        ranges: epoch.intervals.toRanges(),
        highestSequence: epoch.highestSequence,
        // One row that is the same says nothing about the others then; without it a device takes nothing on trust.
        highestChecksum: epoch.isCopied ? undefined : (epoch.highestChecksum ?? undefined),
        series,
        segments,
        anchors,
      });
    }
    const fencingToken = device.fencing_token;
    return { outcome: 'registered', device: { deviceId, fencingToken, epochs, alertCursor: device.alert_cursor } };
  }

  #internDevice(registration: Registration): DeviceRow {
    const { name, startId, agentVersion, attributes, nowUs } = registration;
    const text = labelsText(attributes);
    const known = this.#selectDevice.get(name.tenant, name.device);
    if (known === undefined) {
      const first = nextFencingToken(0, startId);
      const values = [name.tenant, name.device, startId, first, agentVersion, text, nowUs, nowUs];
      return this.#insertDevice.get(...values) as DeviceRow;
    }
    const isSameStart = Buffer.compare(known.start_id, startId) === 0;
    const token = isSameStart ? known.fencing_token : nextFencingToken(known.fencing_token, startId);
    this.#updateDevice.run(startId, token, agentVersion, text, nowUs, known.device_id);
    const cached = this.#cache.device(known.device_id);
    if (cached !== undefined) cached.fencingToken = token;
    return { ...known, fencing_token: token };
  }

  #declareSeries(
    registration: Registration,
    deviceId: number,
    epochId: number,
    catalogue: (CatalogueSeries | undefined)[],
  ): void {
    for (const declaration of registration.series) {
      const { id, name, unit, labels, type } = declaration;
      const known = catalogue[id];
      if (known !== undefined) {
        if (!isSameSeries(known.declaration, declaration)) {
          const detail = `series ${id} is "${known.declaration.name}" already and cannot become "${name}"`;
          throw new Refused({ outcome: 'conflict', detail });
        }
        continue;
      }
      const text = labelsText(labels);
      const max = registration.seriesPerDeviceMax;
      let seriesId = this.#selectSeries.get(deviceId, name, unit, text, type);
      // Ids count up from 1 without a gap, so an id beyond the limit is as much as a series beyond it.
      if (id < 1 || id > max || (seriesId === undefined && (this.#countSeries.get(deviceId) ?? 0) >= max)) {
        const detail = `series ${id} "${name}" is beyond the ${max} series that a device may have`;
        throw new Refused({ outcome: 'too-many-series', detail });
      }
      seriesId ??= this.#insertSeries.get(deviceId, name, unit, text, type) as number;
      this.#insertCatalogue.run(deviceId, epochId, id, seriesId);
      while (catalogue.length <= id) catalogue.push(undefined);
      catalogue[id] = { seriesId, declaration };
    }
  }

  #declareSegments(
    registration: Registration,
    deviceId: number,
    epochId: number,
    segments: (SegmentDeclaration | undefined)[],
  ): void {
    let count = registration.segments.length === 0 ? 0 : entriesOf(segments);
    for (const segment of registration.segments) {
      const { id } = segment;
      const known = segments[id];
      if (id < 1 || id > CLOCK_ID_MAX || (known === undefined && ++count > SEGMENTS_PER_EPOCH_MAX)) {
        const detail = `segment ${id} is one too many: an epoch may have ${SEGMENTS_PER_EPOCH_MAX}, with ids to ${CLOCK_ID_MAX}`;
        throw new Refused({ outcome: 'conflict', detail });
      }
      if (known !== undefined && known.bootId !== segment.bootId) {
        const detail = `segment ${id} is of boot "${known.bootId}" already and cannot become one of "${segment.bootId}"`;
        throw new Refused({ outcome: 'conflict', detail });
      }
      if (known !== undefined && !saysMore(known, segment)) continue;
      const { bootId, offsetUs, observedAtUs, uncertaintyUs, state } = segment;
      this.#putSegment.run(deviceId, epochId, id, bootId, offsetUs, observedAtUs, uncertaintyUs, state);
      segments[id] = segment;
    }
  }

  /** What is known of an anchor is never changed. */
  #declareAnchors(
    registration: Registration,
    deviceId: number,
    epochId: number,
    anchors: (ClockAnchor | undefined)[],
  ): void {
    let count = registration.anchors.length === 0 ? 0 : entriesOf(anchors);
    for (const anchor of registration.anchors) {
      const { id, segment, atUs, offsetUs, uncertaintyUs, state } = anchor;
      const known = anchors[id];
      if (id < 1 || id > CLOCK_ID_MAX || (known === undefined && ++count > ANCHORS_PER_EPOCH_MAX)) {
        const detail = `anchor ${id} is one too many: an epoch may have ${ANCHORS_PER_EPOCH_MAX}, with ids to ${CLOCK_ID_MAX}`;
        throw new Refused({ outcome: 'conflict', detail });
      }
      if (known !== undefined) {
        if (known.segment === segment) continue;
        const detail = `anchor ${id} is of segment ${known.segment} already and cannot become one of ${segment}`;
        throw new Refused({ outcome: 'conflict', detail });
      }
      this.#insertAnchor.run(deviceId, epochId, id, segment, atUs, offsetUs, uncertaintyUs, state);
      anchors[id] = anchor;
    }
  }
}

/** How many there are; where ids begin late, the array has holes, which cost nothing. */
function entriesOf(byId: readonly unknown[]): number {
  let count = 0;
  for (const id in byId) if (byId[id] !== undefined) count++;
  return count;
}

function isSameSeries(a: SeriesDeclaration, b: SeriesDeclaration): boolean {
  return a.name === b.name && a.unit === b.unit && a.type === b.type && labelsText(a.labels) === labelsText(b.labels);
}

/**
 * Whether a segment that is declared again says more than what is known of it. What somebody vouched for, or the collector
 * has settled on, is never changed; what nobody did gives way.
 */
function saysMore(known: SegmentDeclaration, again: SegmentDeclaration): boolean {
  return !isVouched(known) && clockRank(again) < clockRank(known);
}
