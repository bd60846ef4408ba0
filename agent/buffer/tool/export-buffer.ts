import { DecodeArena } from '@tributary/proto/batch/arena';
import type { Batch, Column } from '@tributary/proto/batch/batch';
import { decodeBatch } from '@tributary/proto/batch/decode';
import type { ClockAnchor, SegmentDeclaration, SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { type Item, itemChecksum } from '@tributary/proto/items/item';
import { decodeThinnedBatch, THINNED_BATCH } from '../thinned-batch.js';
import { type BufferCopy, damageOf, withCopy } from './buffer-copy.js';

const BATCH = 1;
const ROWS = 64;
const BYTES = 1 << 20;
/** Text that is gathered before it is handed on. */
const CHUNK_CHARS = 1 << 16;

export type ExportFormat = 'csv' | 'jsonl';

export interface ExportCounts {
  items: number;
  readings: number;
  /** Items whose checksum fails, or whose form this version does not know. */
  skipped: number;
  /** What is wrong with the file itself: what it lost is not among those counted. */
  damage: string | undefined;
}

/**
 * Writes every reading in a buffer as text, oldest item first: sequence, series, unit, labels, time, value. The time is UTC;
 * where nothing is known of its segment's clock it is empty, and `line_us` tells the microseconds on that line.
 */
export function exportBuffer(path: string, format: ExportFormat, write: (text: string) => void): ExportCounts {
  return withCopy(path, (copy) => new Export(copy, format, write).run());
}

class Export {
  readonly #copy: BufferCopy;
  readonly #format: ExportFormat;
  readonly #write: (text: string) => void;
  readonly #series: ReadonlyMap<number, SeriesDeclaration>;
  readonly #clocks: SegmentClocks;
  readonly #arena = new DecodeArena();
  readonly #counts: ExportCounts;
  #text = '';

  constructor(copy: BufferCopy, format: ExportFormat, write: (text: string) => void) {
    this.#copy = copy;
    this.#counts = { items: 0, readings: 0, skipped: 0, damage: damageOf(copy.file) };
    this.#format = format;
    this.#write = write;
    this.#series = new Map(copy.table.series().map((series) => [series.id, series]));
    this.#clocks = new SegmentClocks(copy.table.segments(), copy.table.anchors());
  }

  run(): ExportCounts {
    const { table } = this.#copy;
    const epoch = table.state()?.epoch;
    if (this.#format === 'csv') this.#text = 'sequence,series,unit,labels,time,segment,line_us,value\n';
    for (let from = 1; epoch !== undefined; ) {
      const items = table.items(from, ROWS, BYTES);
      if (items.length === 0) break;
      for (const item of items) this.#item(epoch, item);
      from = items.at(-1)!.sequence + 1;
    }
    this.#write(this.#text);
    return this.#counts;
  }

  #item(epoch: Uint8Array, { sequence, kind, readings, readingsBefore, body, checksum }: Item): void {
    if (kind !== BATCH && kind !== THINNED_BATCH) return;
    try {
      if (itemChecksum(epoch, sequence, kind, readings, readingsBefore, body) !== checksum) throw new Error('checksum');
      const batch = decodeBatch(kind === BATCH ? body : decodeThinnedBatch(body).batch, this.#arena);
      this.#batch(sequence, batch);
      this.#counts.items++;
    } catch {
      this.#counts.skipped++;
    } finally {
      this.#arena.reset();
    }
  }

  #batch(sequence: number, batch: Batch): void {
    for (const { rows, times, columns } of batch.groups) {
      for (const column of columns) {
        let value = 0;
        for (let row = 0; row < rows; row++) {
          if (column.presence !== null && (column.presence[row >>> 3]! & (1 << (row & 7))) === 0) continue;
          this.#reading(sequence, column, valueAt(column, value++), batch.segment, lineUs(batch, times[row]!));
        }
      }
    }
  }

  #reading(sequence: number, column: Column, value: number | boolean | string, segment: number, us: number): void {
    const { name, unit, labels } = this.#series.get(column.seriesId) ?? {
      name: `series-${column.seriesId}`,
      unit: '',
      labels: {},
    };
    const time = this.#clocks.timeOf(segment, us);
    this.#counts.readings++;
    if (this.#format === 'jsonl') {
      // JSON has no NaN and no infinity.
      const written = typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
      this.#text += `${JSON.stringify({ sequence, series: name, unit, labels, time: time ?? null, segment, lineUs: us, value: written })}\n`;
    } else {
      const cells = [
        sequence,
        name,
        unit,
        JSON.stringify(labels),
        time ?? '',
        segment,
        us,
        Object.is(value, -0) ? '-0' : value,
      ];
      this.#text += `${cells.map(csvCell).join(',')}\n`;
    }
    if (this.#text.length < CHUNK_CHARS) return;
    this.#write(this.#text);
    this.#text = '';
  }
}

function valueAt(column: Column, at: number): number | boolean | string {
  const value = column.values[at]!;
  if (column.type === 'boolean') return value !== 0;
  return column.type === 'string' ? column.strings[value]! : value;
}

/** Microseconds on the segment's line, rounded down; FORMAT.md says what the units are. */
function lineUs(batch: Batch, instant: number): number {
  const units = batch.baseTime + BigInt(instant);
  const finer = batch.unitExponent - 6;
  return Number(finer <= 0 ? units * 10n ** BigInt(-finer) : units / 10n ** BigInt(finer));
}

/** What is known of each segment's offset to wall time, as the agent declared it and as anchors refined it. */
class SegmentClocks {
  readonly #offsets = new Map<number, { atUs: number; offsetUs: number }[]>();

  constructor(segments: readonly SegmentDeclaration[], anchors: readonly ClockAnchor[]) {
    for (const { id, bootId, offsetUs } of segments) {
      if (bootId !== 'lost') this.#offsets.set(id, [{ atUs: Number.NEGATIVE_INFINITY, offsetUs }]);
    }
    for (const { segment, atUs, offsetUs } of anchors) this.#offsets.get(segment)?.push({ atUs, offsetUs });
  }

  /** ISO 8601 with microseconds; undefined where the clock is not known. */
  timeOf(segment: number, us: number): string | undefined {
    // Segment 0 is Unix time itself.
    const offsetUs = segment === 0 ? 0 : this.#offsets.get(segment)?.findLast(({ atUs }) => atUs <= us)?.offsetUs;
    if (offsetUs === undefined) return undefined;
    const wallUs = us + offsetUs;
    const wholeMs = Math.floor(wallUs / 1000);
    // Beyond the years that ECMAScript counts.
    if (Math.abs(wholeMs) > 8.64e15) return undefined;
    return new Date(wholeMs).toISOString().replace('Z', `${String(wallUs - wholeMs * 1000).padStart(3, '0')}Z`);
  }
}

function csvCell(value: number | boolean | string): string {
  const text = String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
