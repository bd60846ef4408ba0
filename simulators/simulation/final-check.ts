import { decodeThinnedBatch, keptReadings } from '@tributary/agent/buffer/thinned-batch';
import type { CheckedItem } from '@tributary/collector/store/store';
import { DecodeArena } from '@tributary/proto/batch/arena';
import { decodeBatch } from '@tributary/proto/batch/decode';
import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { ItemKind, LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';
import { type DiskLedger, type EpochLedger, keyOf, type Produced } from './ledger.js';
import { hex, type StoredItem } from './sim-store.js';
import { Violation } from './violation.js';

/** What became of every reading that was produced, each counted once. */
export interface Fates {
  stored: number;
  /** Not stored; the device says why. */
  declared: number;
  /** Not stored; a disk that was overwritten or thrown away had them alone, or damage has taken the word that they are lost. */
  destroyed: number;
}

/** What was seen while a simulation ran; keys are those of `keyOf`. */
export interface Witnessed {
  /** That were produced, of all devices. */
  readings: number;
  disks: ReadonlySet<DiskLedger>;
  /** Those that were overwritten or thrown away. */
  destroyed: readonly DiskLedger[];
  /** Epochs that stand, or stood, on more than one disk. */
  copiedEpochs: ReadonlySet<string>;
  /** Checksums of what the store has taken. */
  stored: ReadonlyMap<string, number>;
  /** Keys that are stored under another one. */
  elsewhere: ReadonlyMap<string, string>;
  /** Keys that a stored thinned item stands for. */
  replaced: ReadonlySet<string>;
  /** What was put into a buffer, by key and checksum; undefined for what holds no readings. */
  put: ReadonlyMap<string, Produced | undefined>;
}

/** Holds what is stored at the end, and what audits say of it, against everything that was produced. */
export class FinalCheck {
  readonly #witnessed: Witnessed;
  readonly #stored: readonly StoredItem[];
  readonly #audits: readonly EpochAudit[];
  readonly #arena = new DecodeArena();
  /** Of what is stored, by key. */
  readonly #checksums = new Map<string, number>();
  /** Readings that were found. */
  readonly #numbers = new Set<number>();
  readonly #unsaid: Produced[] = [];

  constructor(witnessed: Witnessed, stored: readonly StoredItem[], audits: readonly EpochAudit[]) {
    this.#witnessed = witnessed;
    this.#stored = stored;
    this.#audits = audits;
  }

  /** Throws a `Violation` where a reading is neither stored as it was, nor declared, nor gone with its disk, or an audit is wrong. */
  fates(): Fates {
    const { disks, destroyed: destroyedDisks, readings: produced } = this.#witnessed;
    const readingsStored = new Map<string, number>();
    for (const { device, epoch, item } of this.#stored) {
      const key = keyOf(device, epoch, item.sequence);
      const where = { device, epoch, sequence: item.sequence };
      if (this.#checksums.has(key)) throw new Violation('I1', `${key} stands in the store twice`, where);
      this.#checksums.set(key, item.checksum);
      if (item.kind === ItemKind.BATCH) this.#compare(device, epoch, item);
      const isThinned = item.kind === ItemKind.THINNED_BATCH;
      const readings = isThinned ? this.#compareThinned(device, epoch, item) : item.readings;
      // The audit counts what was kept where it was produced, also when the thinned item has moved to another epoch.
      const producedIn = isThinned ? hex(decodeThinnedBatch(item.body).replaced[0].epoch) : epoch;
      const name = `${device}/${producedIn}`;
      readingsStored.set(name, (readingsStored.get(name) ?? 0) + readings);
    }
    const seen = new Set(this.#numbers);
    let declared = 0;
    for (const disk of disks) {
      for (const [epoch, ledger] of disk.epochs) {
        const lost = this.#balance(disk.device, epoch, ledger);
        declared += countNew(lost, seen);
      }
    }
    let destroyed = countNew(this.#unsaid, seen);
    for (const { epochs } of destroyedDisks) {
      for (const { bySequence } of epochs.values()) destroyed += countNew(bySequence.values(), seen);
    }
    if (seen.size !== produced) {
      const detail = `${produced} readings were produced, and ${seen.size} are stored, declared or went with their disk`;
      throw new Violation('I2', detail);
    }
    for (const audit of this.#audits) {
      const epoch = hex(audit.epoch);
      const truth = readingsStored.get(`${audit.device}/${epoch}`) ?? 0;
      // The audit counts what a thinned batch has kept of a stored one at the most; the numbers above are exact.
      if (audit.stored === truth) continue;
      const detail = `the audit of ${audit.device} says that ${audit.stored} are stored; true are ${truth}`;
      throw new Violation('I2', detail, { device: audit.device, epoch });
    }
    return { stored: this.#numbers.size, declared, destroyed };
  }

  /** Whether a stored batch holds exactly the numbers that the device put there, and none came before. */
  #compare(device: string, epoch: string, item: CheckedItem): void {
    const key = keyOf(device, epoch, item.sequence);
    const where = { device, epoch, sequence: item.sequence };
    const produced = this.#witnessed.put.get(`${key}/${item.checksum}`);
    if (produced?.body === undefined) throw new Violation('I1', `${key} is stored, and was never in the buffer`, where);
    if (produced.poison !== undefined) throw new Violation('I1', `${key} is stored, and is ${produced.poison}`, where);
    if (Buffer.compare(produced.body, item.body) !== 0) {
      throw new Violation('I8', `${key} is stored with other bytes than the device encoded`, where);
    }
    let number = produced.firstNumber;
    this.#arena.reset();
    for (const { columns } of decodeBatch(item.body, this.#arena).groups) {
      for (const { values, count } of columns) {
        for (let at = 0; at < count; at++, number++) {
          if (values[at] !== number) {
            throw new Violation('I6', `${key} holds ${values[at]} in the place of ${number}`, where);
          }
          if (this.#numbers.has(number)) {
            throw new Violation('I1', `reading ${number} of ${device} is stored twice, again in ${key}`, where);
          }
          this.#numbers.add(number);
        }
      }
    }
    if (number !== produced.firstNumber + produced.readings) {
      const held = number - produced.firstNumber;
      throw new Violation('I1', `${key} holds ${held} of ${produced.readings} readings`, where);
    }
  }

  /** Whether a thinned item holds as many readings as it says, and none of them came before. Answers how many. */
  #compareThinned(device: string, epoch: string, item: CheckedItem): number {
    const key = keyOf(device, epoch, item.sequence);
    const where = { device, epoch, sequence: item.sequence };
    const { kept, batch } = decodeThinnedBatch(item.body);
    let readings = 0;
    this.#arena.reset();
    for (const { columns } of decodeBatch(batch, this.#arena).groups) {
      for (const { values, count } of columns) {
        readings += count;
        for (let at = 0; at < count; at++) {
          if (this.#numbers.has(values[at])) {
            const detail = `reading ${values[at]} of ${device} is stored twice, again in ${key}, which is thinned`;
            throw new Violation('I1', detail, where);
          }
          this.#numbers.add(values[at]);
        }
      }
    }
    if (readings === keptReadings(kept)) return readings;
    throw new Violation('I1', `${key} is thinned and holds ${readings} of ${keptReadings(kept)} readings`, where);
  }

  /** Holds an epoch's audit against its ledger. Answers what is not stored, and declared. */
  #balance(device: string, epoch: string, ledger: EpochLedger): Produced[] {
    const given: Produced[] = [];
    const declared = new Map<LossReason, number>();
    let stored = 0;
    for (const produced of ledger.bySequence.values()) {
      const { sequence, readings, checksum, lost, poison, isMoved } = produced;
      const key = keyOf(device, epoch, sequence);
      if (checksum !== undefined && this.#checksums.get(key) === checksum) {
        stored += readings;
        continue;
      }
      if (isMoved) continue;
      if (produced.isUnsaid) this.#unsaid.push(produced);
      else given.push(produced);
      const elsewhere = this.#witnessed.elsewhere.get(key);
      if (elsewhere !== undefined && this.#witnessed.stored.get(key) === checksum && this.#checksums.has(elsewhere)) {
        declared.set(LossReason.COPIED, (declared.get(LossReason.COPIED) ?? 0) + readings);
        continue;
      }
      if (lost === undefined && this.#witnessed.replaced.has(key)) continue;
      const where = { device, epoch, sequence };
      if (lost === undefined) {
        const other = this.#checksums.has(key) ? 'acknowledged away by other bytes' : 'neither stored nor declared';
        throw new Violation('I2', `${key}, ${readings} readings, is ${other}`, where);
      }
      if (lost === LossReason.REJECTED && poison === undefined) {
        throw new Violation('I1', `${key}, ${readings} readings, was refused, and nothing is wrong with it`, where);
      }
      // A bound stands for all that crashes took.
      if (lost !== LossReason.CRASH_WINDOW) declared.set(lost, (declared.get(lost) ?? 0) + readings);
    }
    for (const [sequence, { checksum, content }] of ledger.thinned) {
      // Of one that has moved here the readings were produced, and are counted, where it came from.
      if (hex(content.replaced[0].epoch) !== epoch) continue;
      if (this.#checksums.get(keyOf(device, epoch, sequence)) === checksum) stored += keptReadings(content.kept);
    }
    // What two disks say of one epoch, and what went to another one, has no single balance.
    if (ledger.isLeft || this.#witnessed.copiedEpochs.has(epoch)) return given;
    const audit = this.#audits.find((each) => each.device === device && hex(each.epoch) === epoch);
    // What is left of thinned items goes for other reasons later, and what a damaged declaration declared is declared anew as a bound: then the reasons overlap, and only the sum is exact.
    const isByReason = !ledger.isBounded && ledger.thinned.size === 0;
    const produced = ledger.readings + ledger.overstated;
    const bound = produced - stored - [...declared.values()].reduce((sum, readings) => sum + readings, 0);
    const byReason: [LossReason, number | string][] = [...declared];
    if (bound > 0) byReason.push([LossReason.CRASH_WINDOW, `up to ${bound}`]);
    const expected = {
      produced,
      stored,
      declared: isByReason ? byReason.sort(([a], [b]) => a - b) : produced - stored,
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
    // What is lost with a damaged thinned item can only be bounded: then nothing is missing, and the rest may be too much.
    if (ledger.isBounded && ledger.thinned.size > 0) {
      said.produced = Math.min(said.produced, expected.produced);
      said.declared = Math.min(Number(said.declared), Number(expected.declared));
    }
    const [right, wrong] = [JSON.stringify(expected), JSON.stringify(said)];
    if (right === wrong) return given;
    throw new Violation('I2', `the audit of ${device} says ${wrong}, true is ${right}`, { device, epoch });
  }
}

/** How many of these readings have not been seen yet; they are, from then on. */
function countNew(productions: Iterable<Produced>, seen: Set<number>): number {
  const before = seen.size;
  for (const { firstNumber, readings } of productions) {
    for (let number = firstNumber; number < firstNumber + readings; number++) seen.add(number);
  }
  return seen.size - before;
}
