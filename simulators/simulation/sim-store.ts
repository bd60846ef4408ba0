import { readChunk } from '@tributary/collector/store/chunk';
import { packCommit } from '@tributary/collector/store/packed-commit';
import { FENCED } from '@tributary/collector/store/sqlite/commit';
import {
  type ReaderOperations,
  readerOperations,
  type WriterOperations,
  writerOperations,
} from '@tributary/collector/store/sqlite/engine';
import { openMemory } from '@tributary/collector/store/sqlite/schema';
import { SqliteStore } from '@tributary/collector/store/sqlite/sqlite-store';
import type { WorkerChannel } from '@tributary/collector/store/sqlite/worker-channel';
import {
  type CheckedItem,
  type DeviceCommit,
  type DeviceCommitOutcome,
  ItemOutcome,
  type Registration,
  type RegistrationOutcome,
  type Store,
} from '@tributary/collector/store/store';
import type { StoreError } from '@tributary/collector/store/store-error';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { StatementPool } from './statement-pool.js';

/** What a simulated collector asks of its store. Synchronous: the collector's host adds the time that it takes. */
export interface SimStore {
  register(registration: Registration): RegistrationOutcome;
  commit(devices: readonly DeviceCommit[], nowUs: number): DeviceCommitOutcome[];
  /** The collector's process has ended: what was committed stays. */
  crashed(): void;
}

/** An item as it lies in the store, with whose it is. */
export interface StoredItem {
  device: string;
  epoch: string;
  position: number;
  item: CheckedItem;
}

/** Told of each item that the store has taken, or called a duplicate, in the moment of its commit. */
export type StoreWatcher = (device: string, epoch: string, item: CheckedItem, isDuplicate: boolean) => void;

type Channel<O extends Record<keyof O, (...parameters: never[]) => unknown>> = Pick<WorkerChannel<O>, 'call' | 'close'>;

function call<O extends Record<keyof O, (...parameters: never[]) => unknown>, K extends keyof O>(
  operations: O,
  operation: K,
  parameters: Parameters<O[K]>,
): ReturnType<O[K]> {
  return operations[operation](...parameters) as ReturnType<O[K]>;
}

/** More than any store of a simulation holds. */
const ALL_BYTES = 2 ** 40;

/** The real SQLite engine on a database in memory. A commit is there as a whole or not at all, and survives a crash. */
export class MemoryStore implements SimStore {
  readonly db: ReturnType<typeof openMemory> = openMemory();
  readonly #watch: StoreWatcher;
  readonly #devices = new Map<number, string>();
  readonly #epochs = new Map<string, string>();
  readonly #statements = new StatementPool(this.db);
  #writer: WriterOperations = this.#newWriter();
  #readerOperations: ReaderOperations | undefined;

  constructor(watch: StoreWatcher) {
    this.#watch = watch;
  }

  register(registration: Registration): RegistrationOutcome {
    const outcome = this.#writer.register(registration);
    if (outcome.outcome === 'registered') {
      const { deviceId, epochs } = outcome.device;
      this.#devices.set(deviceId, registration.name.device);
      for (const { epochId, epoch } of epochs) this.#epochs.set(`${deviceId}/${epochId}`, hex(epoch));
    }
    return outcome;
  }

  commit(devices: readonly DeviceCommit[], nowUs: number): DeviceCommitOutcome[] {
    const { outcomes, positions } = this.#writer.commit(packCommit(devices, nowUs));
    let next = 0;
    return devices.map(({ deviceId, epochId, items }, index): DeviceCommitOutcome => {
      const from = next;
      next += items.length;
      const position = positions[index];
      if (position === FENCED) return { outcome: 'fenced' };
      const device = this.#devices.get(deviceId)!;
      const epoch = this.#epochs.get(`${deviceId}/${epochId}`)!;
      items.forEach((item, at) => {
        const outcome: ItemOutcome = outcomes[from + at];
        const isDuplicate = outcome === ItemOutcome.Duplicate;
        if (isDuplicate || outcome === ItemOutcome.Stored) this.#watch(device, epoch, item, isDuplicate);
      });
      return { outcome: 'committed', items: outcomes.subarray(from, next), position };
    });
  }

  /** For what follows from committed data, on the same engine: `fault` says how the disk refuses. It answers in the same event. */
  following(fault: () => StoreError | undefined): Store {
    const writer: Channel<WriterOperations> = {
      call: async (operation, parameters) => {
        const refusal = fault();
        if (refusal !== undefined) throw refusal;
        return call(this.#writer, operation, parameters);
      },
      close: async () => {},
    };
    const reader: Channel<ReaderOperations> = {
      call: async (operation, parameters) => call(this.#reader, operation, parameters),
      close: async () => {},
    };
    return SqliteStore.over(writer, reader);
  }

  get #reader(): ReaderOperations {
    this.#readerOperations ??= readerOperations(this.db);
    return this.#readerOperations;
  }

  /** The engine's memory of devices goes with the process. */
  crashed(): void {
    this.#writer = this.#newWriter();
  }

  #newWriter(): WriterOperations {
    return this.#statements.within(() => writerOperations(this.db));
  }

  /** Everything that is stored, device by device in commit order, as a reader of the store finds it. */
  stored(): StoredItem[] {
    const reader = this.#reader;
    const found: StoredItem[] = [];
    for (const [deviceId, device] of this.#devices) {
      const { chunks, picks, damage } = reader.readAfter(deviceId, 0, ALL_BYTES);
      if (damage.length > 0) throw new Error('the store reports damage where there was none');
      const items = chunks.map(({ body }) => readChunk(body)!);
      for (let at = 0; at < picks.length; at += 2) {
        const { epoch, position } = chunks[picks[at]];
        found.push({ device, epoch: hex(epoch), position, item: items[picks[at]][picks[at + 1]] });
      }
    }
    return found;
  }

  audit(): EpochAudit[] {
    const reader = this.#reader;
    return reader.listEpochs(undefined).map(([deviceId, epochId]) => reader.auditEpoch(deviceId, epochId));
  }

  close(): void {
    this.db.close();
  }
}

/** A key that a Map can hold. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
