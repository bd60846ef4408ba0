import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { ItemKind, type LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type Database from 'better-sqlite3';
import { ChunkCursor } from '../chunk.js';
import { type DeclaredRange, EpochBalancer, type ReplacedRange } from '../epoch-audit.js';
import { IntervalSet } from '../interval-set.js';
import { StoreError } from '../store-error.js';
import { readingsIn, readThinned } from '../thinned-item.js';
import { isWhole } from './chunk-reads.js';
import { type ThinnedRow, ThinnedTable } from './thinned-table.js';

interface EpochRow {
  device: string;
  epoch: Buffer;
  highest_sequence: number;
  readings_end: number;
  duplicates_dropped: number;
  said_produced: number;
}

interface LedgerRow {
  first: number;
  last: number;
  readings: number;
  bound: number;
  reason: LossReason;
  readings_before: number | null;
}

interface ExpiredRun {
  first: number;
  last: number;
  readings: number;
  readings_before: number;
}

/** Proves what is stored by walking it. */
export class Auditor {
  readonly #listEpochs;
  readonly #selectEpoch;
  readonly #selectLedger;
  readonly #selectIntervals;
  readonly #selectChunks;
  readonly #selectItem;
  readonly #thinned: ThinnedTable;
  readonly #run;

  constructor(db: Database.Database) {
    this.#listEpochs = db
      .prepare<{ deviceId: number | null }, [number, number]>(
        `SELECT device_id, epoch_id FROM epochs WHERE :deviceId IS NULL OR device_id = :deviceId
         ORDER BY device_id, epoch_id`,
      )
      .raw();
    this.#selectEpoch = db.prepare<[number, number], EpochRow>(
      `SELECT iif(tenant = '', device, tenant || '/' || device) AS device, epoch, highest_sequence, readings_end, duplicates_dropped, said_produced
       FROM epochs JOIN devices USING (device_id) WHERE device_id = ? AND epoch_id = ?`,
    );
    this.#selectLedger = db.prepare<[number, number], LedgerRow>(
      'SELECT first, last, readings, bound, reason, readings_before FROM ledger WHERE device_id = ? AND epoch_id = ? ORDER BY first',
    );
    this.#selectIntervals = db.prepare<[number, number], { first: number; last: number }>(
      'SELECT first, last FROM intervals WHERE device_id = ? AND epoch_id = ? ORDER BY first',
    );
    this.#selectChunks = db.prepare<[number, number], { first_sequence: number; last_sequence: number; body: Buffer }>(
      `SELECT first_sequence, last_sequence, body FROM chunks WHERE device_id = ? AND epoch_id = ?
       ORDER BY first_sequence, last_sequence`,
    );
    this.#selectItem = db.prepare<
      { deviceId: number; epochId: number; sequence: number },
      { last_sequence: number; body: Buffer; epoch: Buffer }
    >(
      `SELECT last_sequence, body, (SELECT epoch FROM epochs WHERE device_id = :deviceId AND epoch_id = :epochId) AS epoch
       FROM chunks WHERE device_id = :deviceId AND epoch_id = :epochId AND first_sequence <= :sequence
       ORDER BY first_sequence DESC LIMIT 1`,
    );
    this.#thinned = new ThinnedTable(db);
    this.#run = db.transaction((deviceId: number, epochId: number) => this.#auditEpoch(deviceId, epochId));
  }

  listEpochs(deviceId: number | undefined): [number, number][] {
    return this.#listEpochs.all({ deviceId: deviceId ?? null });
  }

  /** Walks one epoch, in one snapshot of the store. */
  auditEpoch(deviceId: number, epochId: number): EpochAudit {
    return this.#run(deviceId, epochId);
  }

  #auditEpoch(deviceId: number, epochId: number): EpochAudit {
    const row = this.#selectEpoch.get(deviceId, epochId);
    if (row === undefined) throw new Error(`epoch ${epochId} of device ${deviceId} is not there`);
    const declared: DeclaredRange[] = [];
    const expired: ExpiredRun[] = [];
    for (const entry of this.#selectLedger.all(deviceId, epochId)) {
      const { first, last, readings, reason, readings_before } = entry;
      if (readings_before === null) declared.push({ first, last, readings, reason, bound: entry.bound !== 0 });
      else expired.push({ first, last, readings, readings_before });
    }
    const intervals = new IntervalSet();
    for (const { first, last } of this.#selectIntervals.iterate(deviceId, epochId)) intervals.add(first, last);
    const replaced: ReplacedRange[] = [];
    let kept = 0;
    let keptExpired = 0;
    for (const thinned of this.#thinned.list(deviceId, epochId)) {
      if (thinned.itemEpochId === 0) keptExpired += thinned.kept;
      else if (this.#findReplaced(deviceId, thinned, row.epoch, replaced)) kept += thinned.kept;
    }
    const balancer = new EpochBalancer(declared, replaced);
    balancer.kept(kept);
    balancer.keptExpired(keptExpired);
    let nextExpired = 0;
    const takeExpired = (before: number) => {
      for (; nextExpired < expired.length && expired[nextExpired].first < before; nextExpired++) {
        const { first, last, readings, readings_before } = expired[nextExpired];
        balancer.expired(first, last, readings, readings_before);
      }
    };
    const cursor = new ChunkCursor();
    for (const chunk of this.#selectChunks.iterate(deviceId, epochId)) {
      takeExpired(chunk.first_sequence);
      if (!cursor.open(chunk.body)) continue;
      while (cursor.next()) {
        if (!isWhole(cursor, row.epoch)) continue;
        if (!intervals.has(cursor.sequence)) {
          // It would be taken again when it comes again: the store contradicts itself, and no number would be a proof.
          throw new StoreError(
            'corrupt',
            `item ${cursor.sequence} of ${row.device} is stored but not in its interval set`,
          );
        }
        const { kind, readings } = cursor;
        const held = kind === ItemKind.THINNED_BATCH ? readingsIn(cursor.item()) : readings;
        balancer.stored(cursor.sequence, readings, cursor.readingsBefore, held);
      }
    }
    takeExpired(Number.POSITIVE_INFINITY);
    const balance = balancer.finish(row.highest_sequence, row.readings_end);
    return {
      device: row.device,
      epoch: Uint8Array.from(row.epoch),
      highestSequence: row.highest_sequence,
      ...balance,
      duplicatesDropped: row.duplicates_dropped,
      waiting: Math.max(0, row.said_produced - balance.produced),
    };
  }

  /** Whether a thinned item is stored, and as it was sent; adds what it stands for in an epoch. */
  #findReplaced(
    deviceId: number,
    { itemEpochId: epochId, itemSequence: sequence }: ThinnedRow,
    epoch: Uint8Array,
    replaced: ReplacedRange[],
  ): boolean {
    const row = this.#selectItem.get({ deviceId, epochId, sequence });
    const cursor = new ChunkCursor();
    if (row === undefined || row.last_sequence < sequence || !cursor.open(row.body)) return false;
    while (cursor.next()) {
      if (cursor.sequence !== sequence) continue;
      if (!isWhole(cursor, row.epoch)) return false;
      const content = readThinned(cursor.body());
      for (const [at, { epoch: of, first, last }] of (content?.replaced ?? []).entries()) {
        if (Buffer.compare(of, epoch) === 0) replaced.push({ first, last, kept: content?.kept[at] ?? 0 });
      }
      return true;
    }
    return false;
  }
}
