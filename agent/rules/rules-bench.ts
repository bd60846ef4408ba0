import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { ColumnType } from '@tributary/proto/batch/batch';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import { IncidentTransition } from '@tributary/proto/gen/tributary/v1/transition';
import { pino } from 'pino';
import { DEFAULT_BATCH_BOUNDS } from '../batching/batch-bounds.js';
import { Batcher } from '../batching/batcher.js';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import { BufferCore } from '../buffer/buffer-core.js';
import { MemoryItemTable } from '../buffer/memory-item-table.js';
import { TRANSITION } from '../buffer/transition-ids.js';
import { BatchWriter } from '../runtime/batch-writer.js';
import { CrashWindow } from '../runtime/crash-window.js';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import type { RowSink, TimeLine } from '../sensors/source.js';
import { DeviceRules } from './device-rules.js';

export const BENCH_DEVICE = { tenant: '', device: 'kiln' };

/** The age at which batches close by themselves; the longest that an agent has while nobody waits. */
const AGE_MS = 5000;

const types: Record<ColumnType, number> = { double: 1, boolean: 2, string: 3 };

/** For tests: the way of rows through batcher, writer and buffer, with the device's own rules in it, and no other thread. */
export class RulesBench {
  readonly table = new MemoryItemTable();
  readonly scheduler = new ManualScheduler();
  readonly series: SeriesDeclaration[] = [];
  /** What was acted upon, over all starts; an incident's state once, as the agent's desk has it. */
  readonly acted: Alert[] = [];
  /** Segment of the monotonic line. */
  segment = 1;
  /** Added to the monotonic clock: a boot begins it anew. */
  offsetUs = 1_000_000_000;
  /** The disk refuses to be written. */
  diskFails = false;
  core!: BufferCore;
  batcher!: Batcher;
  writer!: BatchWriter;
  rules!: DeviceRules;
  #sinks = new Map<string, { sink: RowSink; index: number }>();
  #epoch = 7;

  /** `wallUs` is what the wall clock says. */
  constructor(private readonly wallUs: (bench: RulesBench) => number = () => 1.8e15) {
    this.start();
  }

  get nowUs(): number {
    return this.offsetUs + this.scheduler.nowMs() * 1000;
  }

  /** Begins, or begins again after {@link stop} or {@link kill}. */
  start(): void {
    this.core = new BufferCore(this.table, 1 << 24, new Uint8Array(16).fill(this.#epoch));
    this.#sinks = new Map();
    const buffer = {
      append: async (...call: Parameters<EdgeBuffer['append']>) => {
        if (this.diskFails) throw new TributaryError('disk-full', 'no space');
        return this.core.append(call[0], undefined, call[1]);
      },
      lose: async () => {},
    } as Partial<EdgeBuffer> as EdgeBuffer;
    const log = pino({ level: 'silent' });
    const { scheduler } = this;
    this.batcher = new Batcher(
      {
        registry: { idOf: (spec) => this.#idOf(spec) },
        nowUs: () => this.nowUs,
        segmentId: () => this.segment,
        drop: () => {},
        wake: () => queueMicrotask(() => this.writer.pump()),
      },
      { ...DEFAULT_BATCH_BOUNDS, ageUs: AGE_MS * 1000 },
    );
    const batcher = this.batcher;
    this.writer = new BatchWriter({
      batcher,
      buffer,
      scheduler,
      random: seededRandom(1),
      log,
      crashWindow: new CrashWindow(batcher, 1000),
      prepare: async () => {},
      appended: () => {},
      writtenUntil: (us) => this.rules.writtenUntil(us),
      nowUs: () => this.nowUs,
      segment: () => this.segment,
      judging: {
        judge: (...call) => this.rules.judge(...call),
        take: () => this.rules.take(),
        written: () => this.rules.written(),
      },
    });
    const writer = this.writer;
    this.rules = new DeviceRules(this.core.ruleNotes(), {
      device: BENCH_DEVICE,
      attributes: { site: 'north' },
      batcher: {
        watchRows: (watch) => batcher.watchRows(watch),
        flush: () => batcher.flush(),
        pendingReadings: () => batcher.pendingReadings,
      },
      writer: { pump: () => writer.pump(), pendingReadings: () => writer.pendingReadings },
      clock: { monotonicUs: () => this.nowUs, wallUs: () => this.wallUs(this) },
      scheduler,
      log,
      series: () => this.series,
      segment: () => this.segment,
      epoch: () => this.core.state.epoch,
      wallUs: (segment, us) => (segment === 0 ? us : us + 1.7e15),
      act: async (alerts) => this.#act(alerts),
      noteBytesPerReading: 4,
    });
    this.rules.registered(true);
  }

  /** Rows of one source; what a rule finds is acted upon when it resolves. */
  async row(timeUs: number, values: Readonly<Record<string, number | boolean | string>>, line: TimeLine = 'monotonic') {
    for (const [name, value] of Object.entries(values)) {
      const { sink, index } = this.#sinkOf(name, value, line);
      sink.begin(timeUs);
      if (typeof value === 'number') sink.number(index, value);
      else if (typeof value === 'boolean') sink.boolean(index, value);
      else sink.string(index, value);
      sink.end();
    }
    await this.settle();
  }

  /** A reading of now, `ms` later than the last. */
  async later(ms: number, values: Readonly<Record<string, number | boolean | string>>): Promise<void> {
    await this.pass(ms);
    await this.row(this.nowUs, values);
  }

  /** It is this time on the monotonic clock, though nothing has happened meanwhile. */
  leap(us: number): void {
    this.offsetUs = us - this.scheduler.nowMs() * 1000;
  }

  /** Time passes; batches close by age. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.scheduler.advance(Math.min(500, left));
      this.batcher.tick(this.nowUs);
      await this.settle();
    }
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  }

  /** Everything that is open is written. */
  async flush(): Promise<void> {
    this.batcher.flush();
    await this.settle();
  }

  /** Ends in order, and starts again. */
  async restart(): Promise<void> {
    this.batcher.flush();
    this.rules.finish();
    await this.settle();
    this.core.endRun();
    this.start();
    await this.settle();
  }

  /** Ends at once, and starts again. */
  async kill(): Promise<void> {
    this.rules.finish();
    this.start();
    await this.settle();
  }

  /** What went into the buffer of transitions, in order. */
  get items(): { sequence: number; transition: IncidentTransition }[] {
    return this.table
      .items(1, 1 << 20, 1 << 30)
      .filter(({ kind }) => kind === TRANSITION)
      .map(({ sequence, body }) => ({ sequence, transition: IncidentTransition.decode(body) }));
  }

  get story(): string[] {
    return this.acted.map(({ rule, state, seriesName }) => `${rule} ${AlertState[state]} ${seriesName}`.toLowerCase());
  }

  #act(alerts: readonly Alert[]): void {
    if (this.diskFails) throw new TributaryError('disk-full', 'no space');
    const key = ({ incidentId, state }: Alert) => `${Buffer.from(incidentId).toString('hex')} ${state}`;
    for (const alert of alerts) if (!this.acted.some((known) => key(known) === key(alert))) this.acted.push(alert);
  }

  #sinkOf(name: string, value: number | boolean | string, line: TimeLine): { sink: RowSink; index: number } {
    const type = typeof value === 'number' ? 'double' : (typeof value as 'boolean' | 'string');
    const key = `${line} ${type} ${name}`;
    let found = this.#sinks.get(key);
    if (found === undefined) {
      const sink = this.batcher.openGroup(line);
      found = { sink, index: sink.addSeries({ name, unit: '', labels: {}, type }) };
      this.#sinks.set(key, found);
    }
    return found;
  }

  #idOf({
    name,
    unit,
    labels,
    type,
  }: {
    name: string;
    unit: string;
    labels: Readonly<Record<string, string>>;
    type: ColumnType;
  }) {
    const known = this.series.find((one) => one.name === name);
    if (known !== undefined) return known.id;
    const id = this.series.length + 1;
    this.series.push({ id, name, unit, labels: { ...labels }, type: types[type] });
    return id;
  }
}
