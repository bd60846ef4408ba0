import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { failpoint } from '@tributary/core/failpoint/failpoint';
import type { Transition } from '@tributary/core/rules/rule-instance';
import type { Attributes } from '@tributary/core/rules/selection';
import type { ColumnType } from '@tributary/proto/batch/batch';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { SeriesDeclaration } from '@tributary/proto/gen/tributary/v1/series';
import type { Logger } from 'pino';
import type { Batcher, RowWatch } from '../batching/batcher.js';
import { seriesKey } from '../batching/series-key.js';
import type { EncodedBatch, RuleNote } from '../buffer/buffer.js';
import { BATCH } from '../buffer/loss-entries.js';
import type { JudgingRecord, JudgingWriter } from '../runtime/batch-writer.js';
import { AlertTeller } from './alert-teller.js';
import { BatchJudge } from './batch-judge.js';
import { EarlyClosing } from './early-closing.js';
import { JudgingLine } from './judging-line.js';
import { type LocalTransition, localAlert, localTransition, type WallTime } from './local-transition.js';
import { Restatement } from './restatement.js';
import { RowScout } from './row-scout.js';
import { RuleBook, type SeriesName } from './rule-book.js';
import { afterMissing, alignScout, type CellNote, cellNoteName, noteOf, type RuleCell } from './rule-cell.js';
import { type KeptRules, keptRulesNote, readRuleNotes } from './rule-notes.js';
import { RuleRecord } from './rule-record.js';
import { compileRuleSet, type RefusedRule, type RuleSet } from './rule-set.js';
import { type RulesStatus, rulesStatus } from './rules-status.js';

export interface DeviceRulesDeps {
  device: { tenant: string; device: string };
  attributes: Attributes;
  batcher: Pick<Batcher, 'watchRows' | 'flush'> & { pendingReadings(): number };
  writer: { pump(): void; pendingReadings(): number };
  clock: Pick<Clock, 'monotonicUs' | 'wallUs'>;
  scheduler: Scheduler;
  log: Logger;
  /** The catalogue of the epoch, in order of id. */
  series(): readonly SeriesDeclaration[];
  /** The segment of now; -1 while none is declared. */
  segment(): number;
  /** The epoch of what was appended last. */
  epoch(): Uint8Array;
  wallUs: WallTime;
  /** Acts upon alerts; rejects where they could not be stored. */
  act(alerts: readonly Alert[]): Promise<unknown>;
  /** Flash that states may cost for each reading, in bytes. */
  noteBytesPerReading: number;
}

/** A source stamps a reading, then ends its row: this much later at the most. Time has passed for rules when it is over. */
const LATENESS_US = 1_000_000;

/** How exactly a rule that waits for time keeps it. */
const TICK_MS = 1000;

/** Written as numbers, because the generated enumeration would load gRPC. */
const columnTypes: readonly (ColumnType | undefined)[] = [undefined, 'double', 'boolean', 'string'];

/**
 * Rules that this device evaluates by itself, online or not. They judge each row as it is taken, and what holds from the
 * batch as it lies in the buffer; a transition is an item of its own, written in one transaction with the state that it
 * leaves, and is acted upon when that is on the disk.
 */
export class DeviceRules implements JudgingWriter, RowWatch {
  readonly #deps: DeviceRulesDeps;
  readonly #line: JudgingLine;
  readonly #record: RuleRecord;
  readonly #teller: AlertTeller;
  readonly #closing = new EarlyClosing();
  readonly #restatement = new Restatement();
  #kept: KeptRules;
  #refused: readonly RefusedRule[] = [];
  #trouble: string | undefined;
  #book: RuleBook;
  #judge: BatchJudge;
  #scout: RowScout;
  #takesTransitions = true;
  #isLinked = false;
  #epoch: Uint8Array;
  #transitions = 0;
  #transitionsKept = 0;
  #toldFull = false;
  #cancelTick: (() => void) | undefined;

  /** `notes` are those of the buffer. What an earlier start has left goes on, and what was not acted upon yet is. */
  constructor(notes: readonly RuleNote[], deps: DeviceRulesDeps) {
    this.#deps = deps;
    const { clock, log } = deps;
    const found = readRuleNotes(notes);
    if (found.unreadable > 0) log.error({ notes: found.unreadable }, 'states of rules cannot be read; they begin anew');
    this.#kept = found.rules;
    this.#epoch = deps.epoch();
    this.#line = new JudgingLine(found.line, clock);
    this.#record = new RuleRecord(this.#line, () => clock.monotonicUs(), deps.noteBytesPerReading);
    this.#teller = new AlertTeller({ scheduler: deps.scheduler, log, act: (alerts) => deps.act(alerts) });
    [this.#book, this.#judge, this.#scout] = this.#begin(this.#compiled(found.rules.text) ?? NOTHING, found.cells);
    this.#resume();
    for (const cell of this.#book.cells) if (!cell.isTold && cell.last !== undefined) this.#tell(cell, cell.last);
  }

  /** The version of the rules that run; empty for none. */
  get version(): string {
    return this.#kept.version;
  }

  get hasRules(): boolean {
    return this.#kept.version !== '';
  }

  get status(): RulesStatus {
    const { version } = this.#kept;
    return rulesStatus(this.#book, {
      version,
      refused: this.#refused,
      trouble: this.#trouble,
      transitions: this.#transitions,
      transitionsKept: this.#transitionsKept,
      alertsWaiting: this.#teller.waiting,
      nowUs: this.#line.at(this.#deps.clock.monotonicUs()),
      dateOf: (cell, us) => this.#wallOf(cell, us),
    });
  }

  /** The collector has sent rules. Rules that are as before go on; of others incidents end, which is said of them. */
  update(version: string, text: string): void {
    if (version === this.#kept.version) return;
    const set = this.#compiled(text);
    // What cannot be read at all replaces nothing.
    if (set === undefined) return;
    this.#kept = { version, text };
    this.#record.rules(keptRulesNote(this.#kept));
    const cells = new Map<string, CellNote>();
    for (const cell of this.#book.cells) cells.set(cell.noteName, noteOf(cell));
    const before = [...this.#book.cells];
    [this.#book, this.#judge, this.#scout] = this.#begin(set, cells);
    // What was said of the past of a cell is about the cell that goes on.
    for (const cell of this.#book.cells) {
      const old = before.find(({ noteName }) => noteName === cell.noteName);
      if (old !== undefined) cell.saidAtUs = old.saidAtUs;
    }
    this.#deps.log.info({ version, rules: set.rules.length, refused: set.refused.length }, 'rules of the device');
    this.#deps.writer.pump();
  }

  /** A collector has answered Register; where it does not know transitions, none is sent. */
  registered(takesTransitions: boolean): void {
    if (this.#takesTransitions && !takesTransitions && this.hasRules) {
      this.#deps.log.warn('this collector does not take transitions of incidents: they stay on this device');
    }
    this.#takesTransitions = takesTransitions;
  }

  /**
   * A collector waits for readings now, or does no more. What fires and may not have come to a collector as something of now is
   * said once more: the item of its beginning may come as history, or not at all.
   */
  linked(isLinked: boolean): void {
    const nowUs = this.#deps.clock.monotonicUs();
    const wasLinked = this.#isLinked;
    this.#isLinked = isLinked;
    if (!isLinked) {
      if (wasLinked) this.#restatement.lost(this.#book.cells, nowUs);
      return;
    }
    for (const cell of this.#restatement.due(this.#book.cells, nowUs)) this.#send(cell, cell.last!);
    if (this.#record.isUrgent) this.#deps.writer.pump();
  }

  row(...row: Parameters<RowWatch['row']>): boolean {
    return this.#scout.row(...row) && this.#closing.take(this.#deps.clock.monotonicUs());
  }

  judge(batches: readonly EncodedBatch[], sequences: readonly number[]): void {
    const epoch = this.#deps.epoch();
    if (Buffer.compare(epoch, this.#epoch) !== 0) {
      this.#epoch = epoch;
      // A buffer that began anew after damage has none of this.
      this.#record.everything(this.#book.cells, this.hasRules ? keptRulesNote(this.#kept) : undefined);
    }
    if (this.#book.rules.length === 0) return;
    const hex = Buffer.from(epoch).toString('hex');
    const bodies = batches.flatMap(({ kind = BATCH, body }, at) =>
      kind === BATCH ? [{ body, origin: { epoch: hex, sequence: sequences[at]! } }] : [],
    );
    this.#record.earn(batches.reduce((sum, { readings }) => sum + readings, 0));
    this.#guarded(() => this.#judge.judge(bodies));
  }

  /** Everything that came before `us` on the monotonic line is in the buffer. */
  writtenUntil(us: number): void {
    if (this.#cancelTick === undefined) return;
    const untilUs = Math.min(us, this.#deps.clock.monotonicUs() - LATENESS_US);
    this.#guarded(() => this.#judge.passTime(this.#line.at(untilUs)));
  }

  take(): JudgingRecord | undefined {
    return this.#record.take(this.#book.cells);
  }

  written(): void {
    const found = this.#record.written();
    if (found.length > 0) failpoint('rule-written');
    for (const { cell, transition } of found) this.#tell(cell, transition);
  }

  /** From now on every state is written that has changed; to be called before the writer is drained for the last time. */
  finish(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#record.finish();
  }

  /** Resolves when what was found is acted upon, or cannot be. */
  settled(): Promise<void> {
    return this.#teller.settled();
  }

  #compiled(text: string): RuleSet | undefined {
    try {
      const set = compileRuleSet(text);
      this.#trouble = undefined;
      for (const { name, why } of set.refused) {
        this.#deps.log.error({ rule: name, details: why }, 'a rule cannot be judged by this agent; the others are');
      }
      return set;
    } catch (thrown) {
      this.#trouble = TributaryError.from(thrown).message;
      this.#deps.log.error({ details: this.#trouble }, 'the rules that the collector sent cannot be read');
      return undefined;
    }
  }

  /** Puts rules to work, with what was known of them before. */
  #begin({ rules, refused }: RuleSet, notes: Map<string, CellNote>): [RuleBook, BatchJudge, RowScout] {
    const { device, attributes, series, batcher } = this.#deps;
    this.#refused = refused;
    const book = new RuleBook(rules, notes, {
      device,
      attributes,
      full: () => this.#isFull(),
      moved: (cell) => this.#endNote(noteOf(cell), 'the times of its series are of another clock since'),
    });
    const judge = new BatchJudge({
      book,
      line: this.#line,
      seriesOf: (id) => series()[id - 1],
      happened: (cell, transition) => this.#happened(cell, transition),
    });
    const scout = new RowScout(book, this.#line);
    book.recall((name) => this.#typeOf(name));
    for (const note of book.takeUnclaimed()) {
      const isKnown = rules.some(({ name }) => name === note.rule);
      const isRefused = refused.some(({ name }) => name === note.rule);
      const why = isKnown
        ? 'the rule was changed'
        : isRefused
          ? 'the agent cannot judge the rule'
          : 'the rule was removed';
      this.#endNote(note, why);
      this.#record.forget(cellNoteName(note.rule, note.series));
    }
    batcher.watchRows(rules.length > 0 ? this : undefined);
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    if (rules.some(({ watchesTime }) => watchesTime)) this.#armTick();
    return [book, judge, scout];
  }

  /** Between the last reading of an earlier start and the first of this one others are missing. */
  #resume(): void {
    const nowUs = this.#line.at(this.#deps.clock.monotonicUs());
    for (const cell of this.#book.cells) {
      const found: Transition[] = [];
      afterMissing(cell.truth, cell.line === 'absolute' ? undefined : nowUs, found);
      for (const transition of found) this.#happened(cell, transition);
      alignScout(cell);
      this.#book.rejoin(cell);
    }
  }

  #armTick(): void {
    this.#cancelTick = this.#deps.scheduler.setTimer(TICK_MS, () => {
      this.#armTick();
      this.#tick();
    });
  }

  #tick(): void {
    const { clock, batcher, writer } = this.#deps;
    const nowUs = clock.monotonicUs();
    // A device that woke up is awake, though no sensor says anything.
    this.#line.shiftUs(this.#deps.segment(), nowUs);
    const untilUs = this.#line.at(nowUs - LATENESS_US);
    if (batcher.pendingReadings() > 0 || writer.pendingReadings() > 0) {
      // The truth follows when what is in memory is written: then, or now.
      if (this.#scout.passTime(untilUs) && this.#closing.take(nowUs)) batcher.flush();
      return;
    }
    this.#guarded(() => this.#judge.passTime(untilUs));
    this.#scout.passTime(untilUs);
    this.#scout.align();
    if (this.#record.isUrgent) writer.pump();
  }

  #happened(cell: RuleCell, transition: Transition): void {
    const place = (us: number) => (cell.line === 'absolute' ? { segment: 0, us } : this.#line.locate(us));
    const local = localTransition(cell.rule, transition, this.#deps.attributes, place);
    this.#transitions++;
    failpoint('rule-found');
    cell.last = local;
    cell.isTold = false;
    cell.saidAtUs = Number.NEGATIVE_INFINITY;
    this.#record.happened(cell, local);
    this.#send(cell, local);
  }

  /** What goes on without its rule would never end. */
  #endNote({ last, line, saved }: CellNote, why: string): void {
    if (last?.to !== 'firing' || saved.phase !== 'firing') return;
    const nowUs = this.#deps.clock.monotonicUs();
    const at =
      line === 'monotonic' ? this.#line.locate(this.#line.at(nowUs)) : { segment: 0, us: saved.lastUs ?? last.at.us };
    const end: LocalTransition = {
      ...last,
      to: 'resolved',
      at,
      value: null,
      annotations: { ...last.annotations, ended: why },
    };
    this.#transitions++;
    this.#record.ended(end);
    this.#send(undefined, end);
  }

  #send(cell: RuleCell | undefined, transition: LocalTransition): void {
    if (!this.#takesTransitions) {
      this.#transitionsKept++;
      return;
    }
    if (cell !== undefined && this.#isLinked) cell.saidAtUs = this.#deps.clock.monotonicUs();
    this.#record.send(transition, this.#idOf(transition.series));
  }

  #tell(cell: RuleCell | undefined, transition: LocalTransition): void {
    this.#teller.tell(localAlert(transition, this.#deps.wallUs), () => {
      if (cell === undefined || cell.last !== transition) return;
      cell.isTold = true;
      cell.isChanged = true;
    });
  }

  #wallOf({ line }: RuleCell, us: number): number {
    if (line === 'absolute') return us;
    const place = this.#line.locate(us);
    return this.#deps.wallUs(place.segment, place.us);
  }

  /** A bug in a rule must cost that judgement and no reading. */
  #guarded(judge: () => void): void {
    try {
      judge();
    } catch (thrown) {
      this.#deps.log.error({ err: thrown }, 'readings were not judged: a bug');
    }
  }

  #isFull(): void {
    if (!this.#toldFull)
      this.#deps.log.error('rules are for more series than this agent judges; the others are not judged');
    this.#toldFull = true;
  }

  #idOf(series: SeriesName): number {
    if (series.name === '') return 0;
    const key = seriesKey(series);
    return this.#deps.series().find((declared) => seriesKey(declared) === key)?.id ?? 0;
  }

  #typeOf(series: SeriesName): ColumnType | undefined {
    const key = seriesKey(series);
    const declared = this.#deps.series().find((one) => seriesKey(one) === key);
    return declared === undefined ? undefined : columnTypes[declared.type];
  }
}

const NOTHING: RuleSet = { rules: [], refused: [] };
