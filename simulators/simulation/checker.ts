import { decodeDeclaration } from '@tributary/agent/buffer/loss-entries';
import type { CheckedItem } from '@tributary/collector/store/store';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import { ItemKind, type LedgerEntry, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { EpochLedger } from './ledger.js';
import { hex, type StoredItem } from './sim-store.js';
import type { TableChange } from './watched-table.js';
import { Violation } from './world.js';

/**
 * Holds the system against what it promises: after each step where that is possible, and as a whole at the end. It knows
 * what happened from watching the disks, not from what the system says of itself.
 */
export class Checker {
  readonly #ledgers = new Map<string, EpochLedger>();
  /** Checksums of what the store has taken. */
  readonly #stored = new Map<string, number>();
  readonly #isOnlyEndChecked: boolean;
  readonly #arena = new DecodeArena();

  /** `isOnlyEndChecked`: steps are recorded, and judged at the end alone. */
  constructor(isOnlyEndChecked = false) {
    this.#isOnlyEndChecked = isOnlyEndChecked;
  }

  /** Readings that were produced, of all devices. */
  get readings(): number {
    let sum = 0;
    for (const ledger of this.#ledgers.values()) sum += ledger.readings;
    return sum;
  }

  /** A buffer has committed. Whatever it deleted must be in the store, or declared by the same transaction. */
  bufferCommitted(device: string, { before, after, put, deleted, appending }: TableChange): void {
    const epoch = hex(after.epoch);
    if (before !== undefined && hex(before.epoch) !== epoch) {
      throw new Violation('I1', `${device} opened a new epoch, and no buffer was ever copied`);
    }
    const ledger = this.#ledger(device, epoch);
    let sequence = before?.highestSequence ?? 0;
    for (const production of appending) ledger.produced(++sequence, production);
    const declared: LedgerEntry[] = [];
    for (const item of put) {
      const produced = ledger.bySequence.get(item.sequence);
      if (item.kind === ItemKind.DECLARATION) {
        const entries = decodeDeclaration(item.body);
        ledger.declarations.set(item.sequence, { checksum: item.checksum, entries });
        declared.push(...entries);
      } else if (produced === undefined || produced.readings !== item.readings) {
        throw new Violation('I6', `${device} put an unknown item ${item.sequence} of ${item.readings} readings`);
      } else {
        produced.checksum = item.checksum;
        produced.body = item.body;
      }
    }
    for (const entry of declared) this.#note(device, entry);
    for (let at = (before?.highestSequence ?? 0) + 1; at <= sequence; at++) {
      const { checksum, lost } = ledger.bySequence.get(at)!;
      if (checksum === undefined && lost === undefined) {
        throw new Violation('I2', `${device} gave sequence ${at} to readings, and neither kept nor declared them`);
      }
    }
    if (this.#isOnlyEndChecked) return;
    for (const item of deleted) this.#deleted(device, epoch, item, declared);
    if (after.readingsProduced !== ledger.readings) {
      const detail = `${device} counts ${after.readingsProduced} readings, ${ledger.readings} were produced`;
      throw new Violation('I2', detail);
    }
  }

  /** The store has taken an item as new. */
  storeCommitted(device: string, epoch: string, item: CheckedItem): void {
    const key = keyOf(device, epoch, item.sequence);
    const wasStored = this.#stored.has(key);
    this.#stored.set(key, item.checksum);
    if (this.#isOnlyEndChecked) return;
    if (wasStored) throw new Violation('I1', `${key} was stored twice`);
    const ledger = this.#ledger(device, epoch);
    const checksum = ledger.bySequence.get(item.sequence)?.checksum ?? ledger.declarations.get(item.sequence)?.checksum;
    if (checksum !== item.checksum) throw new Violation('I6', `${key} was stored with bytes that the device never had`);
  }

  /** The collector says that these are durable. */
  acknowledged(device: string, epoch: Uint8Array, durable: readonly SequenceRange[]): void {
    if (this.#isOnlyEndChecked) return;
    for (const { first, last } of durable) {
      for (let sequence = first; sequence <= last; sequence++) {
        const key = keyOf(device, hex(epoch), sequence);
        if (!this.#stored.has(key)) throw new Violation('I1', `${key} was acknowledged, and is not stored`);
      }
    }
  }

  /** Everything was healed and has drained: what is stored and declared must be what was produced, to the reading. */
  finish(stored: readonly StoredItem[], audits: readonly EpochAudit[]): void {
    const found = new Set<string>();
    const numbers = new Set<number>();
    for (const { device, epoch, item } of stored) {
      const key = keyOf(device, epoch, item.sequence);
      if (found.has(key)) throw new Violation('I1', `${key} stands in the store twice`);
      found.add(key);
      if (item.kind === ItemKind.BATCH) this.#compare(device, epoch, item, numbers);
    }
    for (const [name, ledger] of this.#ledgers) {
      const [device, epoch] = name.split('/');
      this.#balance(device, epoch, ledger, found, audits);
    }
  }

  #ledger(device: string, epoch: string): EpochLedger {
    const name = `${device}/${epoch}`;
    let ledger = this.#ledgers.get(name);
    if (ledger === undefined) {
      ledger = new EpochLedger();
      this.#ledgers.set(name, ledger);
    }
    return ledger;
  }

  /** A declaration was put into the buffer. */
  #note(device: string, { epoch, first, last, reason, bound }: LedgerEntry): void {
    const ledger = this.#ledger(device, hex(epoch));
    if (bound) ledger.isBounded = true;
    for (let sequence = first; sequence <= last; sequence++) {
      const produced = ledger.bySequence.get(sequence);
      if (produced !== undefined) produced.lost ??= reason;
    }
  }

  #deleted(device: string, epoch: string, item: Item, declared: readonly LedgerEntry[]): void {
    const key = keyOf(device, epoch, item.sequence);
    if (this.#stored.get(key) === item.checksum) return;
    const isDeclared = (of: string, sequence: number) =>
      declared.some((entry) => entry.first <= sequence && sequence <= entry.last && hex(entry.epoch) === of);
    if (item.kind === ItemKind.BATCH && !isDeclared(epoch, item.sequence)) {
      throw new Violation('I1', `${key} was deleted on the device, and is neither stored nor declared`);
    }
    if (item.kind !== ItemKind.DECLARATION) return;
    for (const entry of this.#ledger(device, epoch).declarations.get(item.sequence)?.entries ?? []) {
      for (let sequence = entry.first; sequence <= entry.last; sequence++) {
        if (isDeclared(hex(entry.epoch), sequence)) continue;
        throw new Violation('I2', `${key} declared ${sequence}; it was deleted, and nothing declares that any more`);
      }
    }
  }

  /** Whether a stored batch holds exactly the numbers that the device put there, and none came before. */
  #compare(device: string, epoch: string, item: CheckedItem, numbers: Set<number>): void {
    const key = keyOf(device, epoch, item.sequence);
    const produced = this.#ledger(device, epoch).bySequence.get(item.sequence);
    if (produced?.body === undefined) throw new Violation('I1', `${key} is stored, and was never in the buffer`);
    if (produced.poison !== undefined) throw new Violation('I1', `${key} is stored, and is ${produced.poison}`);
    if (Buffer.compare(produced.body, item.body) !== 0) {
      throw new Violation('I8', `${key} is stored with other bytes than the device encoded`);
    }
    let number = produced.firstNumber;
    this.#arena.reset();
    for (const { columns } of decodeBatch(item.body, this.#arena).groups) {
      for (const { values, count } of columns) {
        for (let at = 0; at < count; at++, number++) {
          if (values[at] !== number) throw new Violation('I6', `${key} holds ${values[at]} in the place of ${number}`);
          if (numbers.has(number)) throw new Violation('I1', `reading ${number} of ${device} is stored twice`);
          numbers.add(number);
        }
      }
    }
    if (number !== produced.firstNumber + produced.readings) {
      throw new Violation('I1', `${key} holds ${number - produced.firstNumber} of ${produced.readings} readings`);
    }
  }

  #balance(
    device: string,
    epoch: string,
    ledger: EpochLedger,
    found: ReadonlySet<string>,
    audits: readonly EpochAudit[],
  ): void {
    const declared = new Map<LossReason, number>();
    let stored = 0;
    for (const { sequence, readings, lost, poison } of ledger.bySequence.values()) {
      const key = keyOf(device, epoch, sequence);
      if (found.has(key)) {
        stored += readings;
        continue;
      }
      if (lost === undefined) throw new Violation('I2', `${key}, ${readings} readings, is neither stored nor declared`);
      if (lost === LossReason.REJECTED && poison === undefined) {
        throw new Violation('I1', `${key}, ${readings} readings, was refused, and nothing is wrong with it`);
      }
      declared.set(lost, (declared.get(lost) ?? 0) + readings);
    }
    const audit = audits.find((each) => each.device === device && hex(each.epoch) === epoch);
    // What a damaged declaration declared is declared anew as a bound: then the reasons overlap, and only the sum is exact.
    const isByReason = !ledger.isBounded;
    const expected = {
      produced: ledger.readings,
      stored,
      declared: isByReason ? [...declared].sort(([a], [b]) => a - b) : ledger.readings - stored,
      missing: 0,
      doubled: 0,
      waiting: 0,
    };
    const losses = audit?.declared ?? [];
    const said = {
      produced: audit?.produced ?? 0,
      stored: audit?.stored ?? 0,
      declared: isByReason
        ? losses.map(({ reason, readings, bound }) => [reason, bound ? `up to ${readings}` : readings])
        : losses.reduce((sum, { readings }) => sum + readings, 0),
      missing: audit?.missing ?? 0,
      doubled: audit?.doubled ?? 0,
      waiting: audit?.waiting ?? 0,
    };
    const [right, wrong] = [JSON.stringify(expected), JSON.stringify(said)];
    if (right !== wrong) throw new Violation('I2', `the audit of ${device} says ${wrong}, true is ${right}`);
  }
}

function keyOf(device: string, epoch: string, sequence: number): string {
  return `${device}/${epoch.slice(0, 8)}/${sequence}`;
}
