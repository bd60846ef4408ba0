import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Item } from '@tributary/proto/items/item';
import type { RuleNote } from './buffer.js';
import {
  type BufferedItem,
  type BufferState,
  type ClockIds,
  headerOf,
  type ItemHeader,
  type ItemTable,
  type QuarantineNote,
} from './item-table.js';
import { MemoryAlertTable } from './memory-alert-table.js';

/**
 * Rows in memory: for a standby, the deterministic simulation and the buffer's tests. Durable is what was committed. `fault` is
 * called before each write and each commit; when it throws, that is the disk failing there. `crash` is the power cut.
 */
export class MemoryItemTable implements ItemTable {
  readonly alerts = new MemoryAlertTable((undo) => this.#write(undo));
  readonly quarantined: { item: Item; note: QuarantineNote }[] = [];
  readonly #items: BufferedItem[] = [];
  readonly #series: SeriesDeclaration[] = [];
  readonly #segments: SegmentDeclaration[] = [];
  readonly #anchors: ClockAnchor[] = [];
  readonly #ruleNotes = new Map<string, string>();
  readonly #fault: () => void;
  #state: BufferState | undefined;
  #undo: (() => void)[] | undefined;

  constructor(fault: () => void = () => {}) {
    this.#fault = fault;
  }

  /** What was not committed is gone; the table can be opened again. */
  crash(): void {
    if (this.#undo !== undefined) this.rollback();
  }

  begin(): void {
    if (this.#undo !== undefined) throw new Error('a transaction is open already');
    this.#undo = [];
  }

  commit(): void {
    this.#fault();
    this.#undo = undefined;
  }

  rollback(): void {
    for (const step of this.#undo?.reverse() ?? []) step();
    this.#undo = undefined;
  }

  state(): BufferState | undefined {
    return this.#state === undefined ? undefined : { ...this.#state };
  }

  putState(state: BufferState): void {
    const before = this.#state;
    this.#write(() => {
      this.#state = before;
    });
    this.#state = { ...state };
  }

  put(item: BufferedItem): void {
    const at = this.#indexFrom(item.sequence);
    if (this.#items[at]?.sequence === item.sequence) throw new Error(`sequence ${item.sequence} is there already`);
    this.#write(() => this.#items.splice(at, 1));
    this.#items.splice(at, 0, { ...item });
  }

  deleteRange(first: number, last: number): void {
    const from = this.#indexFrom(first);
    const until = this.#indexFrom(last + 1);
    let removed: BufferedItem[] = [];
    this.#write(() => this.#items.splice(from, 0, ...removed));
    removed = this.#items.splice(from, until - from);
  }

  headers(first: number, last: number, limit: number): ItemHeader[] {
    const from = this.#indexFrom(first);
    return this.#items.slice(from, Math.min(this.#indexFrom(last + 1), from + limit)).map(headerOf);
  }

  totals(): { items: number; readings: number } {
    return { items: this.#items.length, readings: this.#items.reduce((sum, item) => sum + item.readings, 0) };
  }

  headerBefore(sequence: number): ItemHeader | undefined {
    const item = this.#items[this.#indexFrom(sequence) - 1];
    return item === undefined ? undefined : headerOf(item);
  }

  items(from: number, limit: number, maxBytes: number): BufferedItem[] {
    const found: BufferedItem[] = [];
    let bytes = 0;
    for (let at = this.#indexFrom(from); at < this.#items.length && found.length < limit; at++) {
      found.push({ ...this.#items[at] });
      bytes += this.#items[at].body.length;
      if (bytes >= maxBytes) break;
    }
    return found;
  }

  putQuarantined(item: Item, note: QuarantineNote, keepItems: number): void {
    const before = [...this.quarantined];
    this.#write(() => this.quarantined.splice(0, Number.POSITIVE_INFINITY, ...before));
    this.quarantined.push({ item, note });
    while (this.quarantined.length > keepItems) this.quarantined.shift();
  }

  series(): SeriesDeclaration[] {
    return [...this.#series];
  }

  putSeries(series: SeriesDeclaration): void {
    this.#write(() => this.#series.pop());
    this.#series.push(series);
  }

  segments(): SegmentDeclaration[] {
    return [...this.#segments];
  }

  putSegment(segment: SegmentDeclaration): void {
    this.#write(() => this.#segments.pop());
    this.#segments.push(segment);
  }

  anchors(): ClockAnchor[] {
    return [...this.#anchors];
  }

  putAnchor(anchor: ClockAnchor): void {
    this.#write(() => this.#anchors.pop());
    this.#anchors.push(anchor);
  }

  dropClocks(below: ClockIds): void {
    const before = { segments: [...this.#segments], anchors: [...this.#anchors] };
    this.#write(() => {
      this.#segments.splice(0, Number.POSITIVE_INFINITY, ...before.segments);
      this.#anchors.splice(0, Number.POSITIVE_INFINITY, ...before.anchors);
    });
    this.#segments.splice(0, Number.POSITIVE_INFINITY, ...before.segments.filter(({ id }) => id >= below.segment));
    this.#anchors.splice(0, Number.POSITIVE_INFINITY, ...before.anchors.filter(({ id }) => id >= below.anchor));
  }

  clearCatalogue(): void {
    for (const rows of [this.#series, this.#segments, this.#anchors] as unknown[][]) {
      const before = [...rows];
      this.#write(() => rows.push(...before));
      rows.length = 0;
    }
  }

  ruleNotes(): RuleNote[] {
    return [...this.#ruleNotes].map(([name, text]) => ({ name, text }));
  }

  putRuleNote({ name, text }: RuleNote): void {
    const before = this.#ruleNotes.get(name);
    this.#write(() => this.#setRuleNote(name, before));
    this.#setRuleNote(name, text);
  }

  #setRuleNote(name: string, text: string | undefined): void {
    if (text === undefined) this.#ruleNotes.delete(name);
    else this.#ruleNotes.set(name, text);
  }

  /** Changes stored bytes as a failing disk would, beside every transaction. */
  damage(sequence: number, change: (item: Item) => void): void {
    const item = this.#items[this.#indexFrom(sequence)];
    if (item?.sequence !== sequence) throw new Error(`sequence ${sequence} is not there`);
    item.body = item.body.slice();
    change(item);
  }

  /** Notes how to take back the write that comes next. */
  #write(undo: () => void): void {
    if (this.#undo === undefined) throw new Error('a write outside of a transaction');
    this.#fault();
    this.#undo.push(undo);
  }

  /** Index of the first item at or after a sequence. */
  #indexFrom(sequence: number): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#items[middle].sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
