import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { IncidentEvent, Silence } from '@tributary/proto/gen/tributary/v1/incident';
import type { Device, EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { readChunk } from '../chunk.js';
import type {
  ClaimedNotification,
  IncidentFilter,
  IncidentNote,
  NoteOutcome,
  NotificationKey,
  ReceiverState,
  ResolveOutcome,
  Settlement,
  StoredIncident,
} from '../incidents.js';
import { packCommit } from '../packed-commit.js';
import type {
  AlertRecord,
  CatalogueSeries,
  CheckedItem,
  Derived,
  DerivedMark,
  DeviceCommit,
  DeviceCommitOutcome,
  DeviceName,
  ReadingsRange,
  Registration,
  RegistrationOutcome,
  RollupColumns,
  RuleStateFilter,
  RuleStateRow,
  Store,
  StoredItems,
  StoredSeries,
} from '../store.js';
import type { StoreError } from '../store-error.js';
import type { AlertFilter } from './alerts.js';
import type { Damage, ReadPage } from './chunk-reads.js';
import { FENCED } from './commit.js';
import type { CompactCursor } from './compaction.js';
import type { DerivedRetentionStep } from './derived-retention.js';
import { DirectChannel } from './direct-channel.js';
import { type ReaderOperations, readerOperations, type WriterOperations, writerOperations } from './engine.js';
import type { OperationChannel } from './operation-channel.js';
import { RefusingChannel } from './refusing-channel.js';
import type { ExpireCursor } from './retention.js';
import { packRollups, unpackRollups } from './rollups.js';
import { checkReadable, type openMemory } from './schema.js';
import { WorkerChannel } from './worker-channel.js';

export interface SqliteStoreOptions {
  /** The database; made where there is none, with its folder. `PATH.lock`, `PATH-wal` and `PATH-shm` stand beside it. */
  path: string;
  /**
   * How large the database may become by what devices send, in bytes; no limit if absent. At it commits fail as `full`, the devices keep
   * their data, and retention makes room. The log beside it takes another 16 MiB, more only while a long query runs.
   */
  bytesMax?: number;
  /** Stored bytes were found changed: an error of the disk. They are left out of every answer. */
  onDamage?: (damage: Damage) => void;
  /** A thread of the store has ended by itself: this store is of no more use. */
  onFailure?: (error: StoreError) => void;
}

/** Where the operations of a store are carried out. */
interface Channels {
  writer: OperationChannel<WriterOperations>;
  openReader: () => OperationChannel<ReaderOperations>;
}

/**
 * The embedded store: a thread that writes, a thread that reads (begun with the first query), and this handle, which
 * frames what goes to them and unframes what comes back.
 */
export class SqliteStore implements Store {
  readonly #options: SqliteStoreOptions;
  readonly #writer: OperationChannel<WriterOperations>;
  readonly #openReader: () => OperationChannel<ReaderOperations>;
  #readerChannel: OperationChannel<ReaderOperations> | undefined;
  #isClosed = false;

  /** Rejects with a StoreError: `busy` when another collector has it, `corrupt` when it is no store. */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const { path, bytesMax } = options;
    const writer = new WorkerChannel<WriterOperations>(
      { path, role: 'writer', ...(bytesMax === undefined ? {} : { bytesMax }) },
      (error) => options.onFailure?.(error),
    );
    try {
      await writer.open();
    } catch (error) {
      await writer.close();
      throw error;
    }
    return new SqliteStore(options, { writer, openReader: () => readerThread(options) });
  }

  /**
   * Opens a store to read it, beside a collector that writes to it: it takes no lock, and each call is a short read of its
   * own, so that the collector's log is never held up. Whatever would write rejects. Rejects with a StoreError `corrupt`
   * when it is no store, or one of another version.
   */
  static async openForReading(options: Omit<SqliteStoreOptions, 'bytesMax'>): Promise<SqliteStore> {
    checkReadable(options.path);
    const writer = new RefusingChannel<WriterOperations>(options.path);
    return new SqliteStore(options, { writer, openReader: () => readerThread(options) });
  }

  /** A store in memory and in this thread, by the same engine. It ends when the database is closed, not with `close`. */
  static openInMemory(db: ReturnType<typeof openMemory>): SqliteStore {
    const writer = new DirectChannel<WriterOperations>(writerOperations(db));
    const openReader = () => new DirectChannel<ReaderOperations>(readerOperations(db));
    return new SqliteStore({ path: 'memory' }, { writer, openReader });
  }

  /** Over operations that are done elsewhere than in threads of its own. */
  static over(writer: OperationChannel<WriterOperations>, reader: OperationChannel<ReaderOperations>): SqliteStore {
    return new SqliteStore({ path: 'memory' }, { writer, openReader: () => reader });
  }

  private constructor(options: SqliteStoreOptions, { writer, openReader }: Channels) {
    this.#options = options;
    this.#writer = writer;
    this.#openReader = openReader;
  }

  get #reader(): OperationChannel<ReaderOperations> {
    // After `close` it only has to say so, which the writer's channel does.
    if (this.#isClosed) return this.#writer as unknown as OperationChannel<ReaderOperations>;
    this.#readerChannel ??= this.#openReader();
    return this.#readerChannel;
  }

  register(registration: Registration): Promise<RegistrationOutcome> {
    return this.#writer.call('register', [registration]);
  }

  async commit(devices: readonly DeviceCommit[], nowUs: number): Promise<DeviceCommitOutcome[]> {
    const packed = packCommit(devices, nowUs);
    const transfer = [packed.bytes.buffer, packed.devices.buffer, packed.chunks.buffer];
    const { outcomes, positions } = await this.#writer.call('commit', [packed], transfer);
    let item = 0;
    return devices.map(({ items }, index): DeviceCommitOutcome => {
      const from = item;
      item += items.length;
      const position = positions[index];
      if (position === FENCED) return { outcome: 'fenced' };
      return { outcome: 'committed', items: outcomes.subarray(from, item), position };
    });
  }

  undigested(): Promise<DerivedMark[]> {
    return this.#reader.call('undigested', []);
  }

  async readAfter(deviceId: number, position: number, maxBytes: number): Promise<StoredItems[]> {
    return this.#unpack(deviceId, await this.#reader.call('readAfter', [deviceId, position, maxBytes]));
  }

  saveDerived(derived: Derived): Promise<number[]> {
    const { marks, ruleStates } = derived;
    const rollups = packRollups(derived.rollups);
    return this.#writer.call('saveDerived', [{ marks, ruleStates, rollups }], [rollups.buffer]);
  }

  derivedMarks(deviceId?: number): Promise<DerivedMark[]> {
    return this.#reader.call('derivedMarks', [deviceId]);
  }

  unsettledIncidents(versions: number, deviceId?: number): Promise<{ deviceId: number; startedAtUs: number }[]> {
    return this.#reader.call('unsettledIncidents', [versions, deviceId]);
  }

  loadRuleStates(filter?: RuleStateFilter): Promise<RuleStateRow[]> {
    return this.#reader.call('loadRuleStates', [filter]);
  }

  clearRollups(): Promise<void> {
    return this.#writer.call('clearRollups', []);
  }

  appendAlerts(alerts: readonly AlertRecord[], nowUs: number): Promise<AlertRecord[]> {
    return this.#writer.call('appendAlerts', [alerts, nowUs]);
  }

  readAlerts(deviceId: number, cursor: number, limit: number): Promise<Alert[]> {
    return this.#reader.call('readAlerts', [deviceId, cursor, limit]);
  }

  resumeAlerts(deviceId: number, cursor: number): Promise<boolean> {
    return this.#writer.call('resumeAlerts', [deviceId, cursor]);
  }

  async acknowledgeAlerts(deviceId: number, cursor: number, nowUs: number): Promise<void> {
    while (!(await this.#writer.call('acknowledgeAlertsStep', [deviceId, cursor, nowUs])));
  }

  listAlerts(filter: AlertFilter, after: number, limit: number): Promise<{ alerts: Alert[]; next: number }> {
    return this.#reader.call('listAlerts', [filter, after, limit]);
  }

  readIncidents(
    filter: IncidentFilter,
    after: string,
    limit: number,
  ): Promise<{ incidents: StoredIncident[]; next: string }> {
    return this.#reader.call('readIncidents', [filter, after, limit]);
  }

  findIncident(incidentId: Uint8Array): Promise<StoredIncident | undefined> {
    return this.#reader.call('findIncident', [incidentId]);
  }

  incidentEvents(incidentId: Uint8Array): Promise<IncidentEvent[]> {
    return this.#reader.call('incidentEvents', [incidentId]);
  }

  noteIncident(incidentId: Uint8Array, note: IncidentNote): Promise<NoteOutcome> {
    return this.#writer.call('noteIncident', [incidentId, note]);
  }

  resolveIncident(incidentId: Uint8Array, by: string, comment: string, nowUs: number): Promise<ResolveOutcome> {
    return this.#writer.call('resolveIncident', [incidentId, by, comment, nowUs]);
  }

  createSilence(silence: Silence): Promise<Silence | undefined> {
    return this.#writer.call('createSilence', [silence]);
  }

  listSilences(endAfterUs: number, after: number, limit: number): Promise<{ silences: Silence[]; next: number }> {
    return this.#reader.call('listSilences', [endAfterUs, after, limit]);
  }

  expireSilence(silenceId: string, nowUs: number): Promise<'expired' | 'over' | 'unknown'> {
    return this.#writer.call('expireSilence', [silenceId, nowUs]);
  }

  activeSilences(nowUs: number): Promise<Silence[]> {
    return this.#reader.call('activeSilences', [nowUs]);
  }

  async keepReceivers(receivers: readonly string[], nowUs: number, forgetBeforeUs: number): Promise<void> {
    while (!(await this.#writer.call('keepReceiversStep', [receivers, nowUs, forgetBeforeUs])));
  }

  claimNotifications(
    receiver: string,
    nowUs: number,
    leaseUs: number,
    limit: number,
  ): Promise<{ notifications: ClaimedNotification[]; nextDueUs: number | undefined }> {
    return this.#writer.call('claimNotifications', [receiver, nowUs, leaseUs, limit]);
  }

  settleNotification(key: NotificationKey, settlement: Settlement, nowUs: number): Promise<boolean> {
    const { receiver, deviceId, incidentId, state, claim } = key;
    return this.#writer.call('settleNotification', [
      { receiver, deviceId, incidentId, state, claim },
      settlement,
      nowUs,
    ]);
  }

  releaseNotifications(nowUs: number): Promise<number> {
    return this.#writer.call('releaseNotifications', [nowUs]);
  }

  receiverStates(): Promise<ReceiverState[]> {
    return this.#reader.call('receiverStates', []);
  }

  findDevice(name: DeviceName): Promise<number | undefined> {
    return this.#reader.call('findDevice', [name]);
  }

  listDevices(afterDeviceId: number, limit: number): Promise<(Device & { deviceId: number })[]> {
    return this.#reader.call('listDevices', [afterDeviceId, limit]);
  }

  listSeries(deviceId: number): Promise<StoredSeries[]> {
    return this.#reader.call('listSeries', [deviceId]);
  }

  catalogue(deviceId: number, epochId: number): Promise<(CatalogueSeries | undefined)[]> {
    return this.#reader.call('catalogue', [deviceId, epochId]);
  }

  async readRange(
    range: ReadingsRange,
    after: string,
    maxBytes: number,
  ): Promise<{ items: StoredItems[]; next: string }> {
    const page = await this.#reader.call('readRange', [range, after, maxBytes]);
    return { items: this.#unpack(range.deviceId, page), next: page.next };
  }

  async readRollups(
    deviceId: number,
    seriesId: number,
    stepSeconds: 60 | 900,
    fromUs: number,
    untilUs: number,
  ): Promise<RollupColumns> {
    return unpackRollups(await this.#reader.call('readRollups', [deviceId, seriesId, stepSeconds, fromUs, untilUs]));
  }

  async audit(deviceId: number | undefined): Promise<EpochAudit[]> {
    const audits: EpochAudit[] = [];
    // An epoch a call, so that queries get their turn in between.
    for (const [device, epoch] of await this.#reader.call('listEpochs', [deviceId])) {
      audits.push(await this.#reader.call('auditEpoch', [device, epoch]));
    }
    return audits;
  }

  async expire(beforeUs: number): Promise<number> {
    let readings = 0;
    let cursor: ExpireCursor | undefined;
    do {
      const step = await this.#writer.call('expireStep', [beforeUs, cursor]);
      readings += step.readings;
      cursor = step.next;
    } while (cursor !== undefined);
    return readings;
  }

  async expireDerived(rollupsBeforeUs: number, alertsBeforeUs: number): Promise<{ rollups: number; alerts: number }> {
    const rollups = await this.#expireSteps('expireRollupsStep', rollupsBeforeUs);
    return { rollups, alerts: await this.#expireSteps('expireIncidentsStep', alertsBeforeUs) };
  }

  async #expireSteps(operation: 'expireRollupsStep' | 'expireIncidentsStep', beforeUs: number): Promise<number> {
    let removed = 0;
    let after: number | undefined = 0;
    while (after !== undefined) {
      const step: DerivedRetentionStep = await this.#writer.call(operation, [beforeUs, after]);
      removed += step.removed;
      after = step.next;
    }
    return removed;
  }

  probe(): Promise<void> {
    return this.#writer.call('probe', []);
  }

  async compact(): Promise<number> {
    let bytesSaved = 0;
    let cursor: CompactCursor | undefined;
    do {
      const step = await this.#writer.call('compactStep', [cursor]);
      bytesSaved += step.bytesSaved;
      cursor = step.next;
    } while (cursor !== undefined);
    return bytesSaved;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // The reader first, so that the writer is the last to leave and checkpoints the log.
    try {
      await this.#readerChannel?.close();
    } finally {
      await this.#writer.close();
    }
  }

  #unpack(deviceId: number, page: ReadPage): StoredItems[] {
    for (const damage of page.damage) this.#options.onDamage?.(damage);
    const chunks = page.chunks.map(({ body }): CheckedItem[] => {
      const items = readChunk(body);
      if (items === undefined) throw new Error('a chunk was damaged between the threads');
      return items;
    });
    const groups: StoredItems[] = [];
    for (let at = 0; at < page.picks.length; at += 2) {
      const { epochId, epoch, position } = page.chunks[page.picks[at]];
      const item = chunks[page.picks[at]][page.picks[at + 1]];
      const group = groups.at(-1);
      if (group !== undefined && group.epochId === epochId && group.position === position) group.items.push(item);
      else groups.push({ deviceId, epochId, epoch, position, items: [item] });
    }
    return groups;
  }
}

function readerThread({ path, onFailure }: SqliteStoreOptions): OperationChannel<ReaderOperations> {
  return new WorkerChannel<ReaderOperations>({ path, role: 'reader' }, (error) => onFailure?.(error));
}
