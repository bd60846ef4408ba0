import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import type { Rule } from '@tributary/core/rules/rule';
import type { Logger } from 'pino';
import type { CommittedBatch, Follower } from '../ingest/committed.js';
import { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { Derived, DerivedMark, DeviceName, RuleStateRow, Store, StoredSeries } from '../store/store.js';
import { AlertOutbox } from './alert-outbox.js';
import { portionsOf } from './derived-portions.js';
import { Digest } from './digest.js';
import { Replay } from './replay.js';
import { RuleHost } from './rule-host.js';
import { changedRows, restoreRows } from './rule-rows.js';

export interface DerivedPipelineOptions {
  store: Store;
  /** Undefined to leave rules and their states alone and make rollups only. */
  rules: readonly Rule[] | undefined;
  clock: Pick<Clock, 'wallUs'>;
  scheduler: Scheduler;
  logger: Logger;
  /** A device has new alerts in the store. */
  wake: (deviceId: number) => void;
  limits?: Partial<DerivedLimits>;
}

export interface DerivedLimits {
  /** Derived data waits at most this long: what a dashboard may lag, and what a restart has to replay. */
  flushIntervalMs: number;
  /** Minutes that are open before they are saved early. A row takes 104 B, and saving 50,000 about a second. */
  rollupRowsMax: number;
  /** Alerts that wait for the store; about 1 kB each. */
  alertsMax: number;
  /** Bytes of stored items that one step of a replay decodes: at most some 150,000 readings at 2 B. */
  replayBytes: number;
}

export const DEFAULT_DERIVED_LIMITS: DerivedLimits = {
  flushIntervalMs: 5000,
  rollupRowsMax: 50_000,
  alertsMax: 10_000,
  replayBytes: 256 * 1024,
};

/** A store that is away is asked again about this often. */
const RETRY_MS = 1000;
const DEVICES_PAGE = 1000;

/** Rows of one transaction: some 10 ms in which no reading is committed and nobody is answered. */
const PORTION_ROWS = 500;

/** A device whose commits are not digested as they come but read back from the store. */
interface Behind {
  /** Undefined where only the store knows. */
  digested: number | undefined;
  /** The newest commit that was passed by. */
  skipped: number;
  kept?: DerivedMark['kept'];
}

/**
 * What follows from committed data: rollups, rule states and alerts. Commits are digested as they come. Where saving cannot
 * keep up, or a device is new to this process, its commits are read back from the store instead: memory stays bounded, and
 * each commit is digested once.
 *
 * A mark is saved with everything that follows from the commits up to it, after their alerts are stored. A crash at any
 * point therefore repeats commits, never skips them; repeated alerts have the same ids and are dropped by the store.
 */
export class DerivedPipeline implements Follower {
  readonly #options: DerivedPipelineOptions;
  readonly #limits: DerivedLimits;
  readonly #rollups = new RollupBuffer();
  readonly #rules: RuleHost;
  readonly #digest: Digest;
  readonly #replay: Replay;
  readonly #outbox: AlertOutbox;
  readonly #behind = new Map<number, Behind>();
  /** The newest digested commit of each device seen in this process. */
  readonly #digested = new Map<number, number>();
  #marks = new Map<number, number>();
  #saving: Promise<void> | undefined;
  /** What a save had taken is lost to this process. Whatever is saved behind it would move the marks past it. */
  #saveFailed: unknown;
  #batchesFailed = 0;
  #catchingUp: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  /** The time has come to save everything. */
  #flushDue = false;
  #stopped = false;
  readonly #endPauses = new Set<() => void>();

  constructor(options: DerivedPipelineOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_DERIVED_LIMITS, ...options.limits };
    this.#outbox = new AlertOutbox({
      store: options.store,
      clock: options.clock,
      scheduler: options.scheduler,
      wake: options.wake,
      failed: (error) => options.logger.warn({ err: error }, 'alerts could not be stored; trying again'),
    });
    const rules = (options.rules ?? []).map(compileRule).filter(isOverSeries);
    this.#rules = new RuleHost(rules, (record) => this.#outbox.push(record));
    this.#digest = new Digest(this.#rollups, options.rules === undefined ? undefined : this.#rules);
    this.#replay = new Replay(options.store);
  }

  /** Takes up where the last process stopped, and replays what it had not digested. To be awaited before serving. */
  async start(): Promise<void> {
    const { store } = this.#options;
    await this.#introduceAll();
    for (const [deviceId, rows] of await this.#ruleStates()) {
      if (!this.#rules.knows(deviceId)) continue;
      const series = new Map<number, StoredSeries>();
      for (const one of await store.listSeries(deviceId)) series.set(one.seriesId, one);
      for (const record of restoreRows(this.#rules, deviceId, rows, series)) this.#outbox.push(record);
    }
    for (const { deviceId, position, kept } of await store.undigested()) {
      this.#behind.set(deviceId, { digested: position, skipped: position, kept });
    }
    await this.#catchUp();
    // A process that ends soon again has then not repeated this for nothing.
    await this.flush();
  }

  /** Tells who a device is as soon as it registers, which saves reading its first commits back. */
  introduce(deviceId: number, name: DeviceName): void {
    this.#rules.introduce(deviceId, name);
  }

  follow(batches: readonly CommittedBatch[], nowUs: number): void {
    let deviceId = Number.NaN;
    let position = Number.NaN;
    let passed = false;
    for (const batch of batches) {
      if (batch.deviceId !== deviceId || batch.position !== position) {
        deviceId = batch.deviceId;
        position = batch.position;
        passed = this.#passBy(deviceId, position);
        if (!passed) this.#mark(deviceId, position);
      }
      if (!passed) this.#take(batch, nowUs);
    }
    if (this.#behind.size > 0) void this.#catchUp();
    this.#scheduleFlush();
  }

  committed(deviceId: number, position: number): void {
    if (!this.#passBy(deviceId, position)) this.#mark(deviceId, position);
    if (this.#behind.size > 0) void this.#catchUp();
    this.#scheduleFlush();
  }

  uncertain(deviceId: number): void {
    if (this.#behind.has(deviceId)) return;
    const digested = this.#digested.get(deviceId);
    this.#behind.set(deviceId, { digested, skipped: digested ?? 0 });
    void this.#catchUp();
  }

  /** Saving does not keep up with what is committed. */
  busy(): boolean {
    return (
      (this.#saving !== undefined && this.#rollups.length >= this.#limits.rollupRowsMax) ||
      this.#outbox.length >= this.#limits.alertsMax
    );
  }

  /** Saves everything that is digested now. Rejects when the store fails and the pipeline is being stopped. */
  async flush(): Promise<void> {
    // Nothing less is begun while this waits for the save that runs.
    this.#flushDue = true;
    while (this.#saving !== undefined) await this.#saving;
    await this.#save();
  }

  /** Saves what it can and ends. What could not be saved is replayed at the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#outbox.lastAttempt();
    for (const end of this.#endPauses) end();
    await this.#catchingUp;
    try {
      await this.flush();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'derived data could not be saved; it is made again at the next start');
    }
  }

  get counters() {
    return {
      devicesBehind: this.#behind.size,
      rollupRowsWaiting: this.#rollups.length,
      alertsWaiting: this.#outbox.length,
      alertsStored: this.#outbox.stored,
      readingsIgnoredByRules: this.#rules.readingsIgnored,
      readingsFromFuture: this.#digest.readingsFromFuture,
      batchesUndecodable: this.#replay.undecodable,
      batchesFailed: this.#batchesFailed,
    };
  }

  /** Whether a commit is not to be digested now: it was, or it will be read back. */
  #passBy(deviceId: number, position: number): boolean {
    const behind = this.#behind.get(deviceId);
    if (behind !== undefined) {
      behind.skipped = Math.max(behind.skipped, position);
      return true;
    }
    const digested = this.#digested.get(deviceId);
    if (digested !== undefined && position <= digested) return true;
    if (this.#rules.knows(deviceId) && !this.busy()) return false;
    this.#behind.set(deviceId, { digested: digested ?? position - 1, skipped: position });
    return true;
  }

  /** A bug that one batch meets hurts no other, and is not met again for ever when the batch is read back. */
  #take(batch: CommittedBatch, nowUs: number): void {
    try {
      this.#digest.take(batch, nowUs);
    } catch (error) {
      this.#batchesFailed += 1;
      const { deviceId, sequence } = batch;
      this.#options.logger.error(
        { err: error, deviceId, sequence },
        'a batch was left out of rollups and rules: a bug',
      );
    }
  }

  #mark(deviceId: number, position: number): void {
    this.#digested.set(deviceId, position);
    this.#marks.set(deviceId, position);
  }

  #scheduleFlush(): void {
    if (this.#stopped || this.#saving !== undefined) return;
    if (this.#flushDue || this.#rollups.length >= this.#limits.rollupRowsMax) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      this.#saveInBackground();
    } else if (this.#rollups.heavy !== undefined && this.#marks.has(this.#rollups.heavy)) {
      // A device that catches up: what it brings is saved as it comes, not in one transaction that everybody waits for.
      this.#saveInBackground(this.#rollups.heavy);
    } else if (this.#cancelTimer === undefined && this.#marks.size > 0) {
      this.#cancelTimer = this.#options.scheduler.setTimer(this.#limits.flushIntervalMs, () => {
        this.#cancelTimer = undefined;
        // After the save that runs everything has its turn, however many devices are heavy.
        this.#flushDue = true;
        this.#scheduleFlush();
      });
    }
  }

  #saveInBackground(only?: number): void {
    this.#save(only).then(
      () => this.#scheduleFlush(),
      // Only when stopping: `stop` reports it.
      () => {},
    );
  }

  /** Takes what is digested, of all devices or of one, and saves it, however often the store must be asked. */
  #save(only?: number): Promise<void> {
    if (this.#saveFailed !== undefined) return Promise.reject(this.#saveFailed);
    if (this.#marks.size === 0) {
      this.#flushDue = false;
      return this.#outbox.drained();
    }
    const derived = this.#handOver(only);
    const saving = this.#saveInPortions(derived)
      .catch((error: unknown) => {
        this.#saveFailed = error;
        throw error;
      })
      .finally(() => {
        this.#saving = undefined;
      });
    this.#saving = saving;
    return saving;
  }

  #handOver(only: number | undefined): Derived {
    const ruleStates = changedRows(this.#rules, only);
    if (only !== undefined) {
      const position = this.#marks.get(only)!;
      this.#marks.delete(only);
      return { marks: [{ deviceId: only, position }], rollups: this.#rollups.takeOf(only), ruleStates };
    }
    this.#flushDue = false;
    const marks = [...this.#marks].map(([deviceId, position]) => ({ deviceId, position }));
    this.#marks = new Map();
    return { marks, rollups: this.#rollups.take(), ruleStates };
  }

  /** Rejects only when it is being stopped. */
  async #saveInPortions(derived: Derived): Promise<void> {
    await this.#outbox.drained();
    // The store commits readings between two portions.
    for (const portion of portionsOf(derived, PORTION_ROWS)) await this.#saveDerived(portion);
  }

  async #saveDerived(derived: Derived): Promise<void> {
    for (let failed = false; ; failed = true) {
      try {
        if (failed && (await this.#isSaved(derived))) return;
        await this.#options.store.saveDerived(derived);
        return;
      } catch (error) {
        if (this.#stopped) throw error;
        this.#options.logger.warn({ err: error }, 'derived data could not be saved; trying again');
        await this.#pause();
      }
    }
  }

  /** Whether a save that failed was done all the same, and only its answer was lost: rollups would be counted twice. */
  async #isSaved({ marks: [first] }: Derived): Promise<boolean> {
    const saved = first && (await this.#savedMark(first.deviceId));
    return saved === undefined || saved >= first!.position;
  }

  /** Up to where a device's commits are digested, as the store has it; undefined when all are. */
  async #savedMark(deviceId: number): Promise<number | undefined> {
    const undigested = await this.#options.store.undigested();
    return undigested.find((mark) => mark.deviceId === deviceId)?.position;
  }

  #pause(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        this.#endPauses.delete(end);
        resolve();
      };
      const cancel = this.#options.scheduler.setTimer(RETRY_MS, end);
      this.#endPauses.add(end);
    });
  }

  async #ruleStates(): Promise<Map<number, RuleStateRow[]>> {
    const states = new Map<number, RuleStateRow[]>();
    if (this.#options.rules === undefined) return states;
    for (const row of await this.#options.store.loadRuleStates()) {
      const rows = states.get(row.deviceId);
      if (rows === undefined) states.set(row.deviceId, [row]);
      else rows.push(row);
    }
    return states;
  }

  async #introduceAll(): Promise<void> {
    let after = 0;
    for (;;) {
      const page = await this.#options.store.listDevices(after, DEVICES_PAGE);
      for (const { deviceId, tenant, device } of page) this.#rules.introduce(deviceId, { tenant, device });
      if (page.length < DEVICES_PAGE) return;
      after = page[page.length - 1]!.deviceId;
    }
  }

  /** Reads back the commits of devices that are behind, one device after another, until none is. */
  #catchUp(): Promise<void> {
    this.#catchingUp ??= this.#catchUpAll().finally(() => {
      this.#catchingUp = undefined;
      // A device may have fallen behind since the last one was looked at.
      if (this.#behind.size > 0 && !this.#stopped) void this.#catchUp();
    });
    return this.#catchingUp;
  }

  async #catchUpAll(): Promise<void> {
    for (const [deviceId, behind] of this.#behind) {
      while (!this.#stopped && this.#behind.has(deviceId)) {
        try {
          await this.#step(deviceId, behind);
        } catch (error) {
          this.#options.logger.warn({ err: error }, 'commits could not be read back; trying again');
          await this.#pause();
        }
      }
    }
  }

  /** One page of a device's commits; the device is no longer behind when there is none. */
  async #step(deviceId: number, behind: Behind): Promise<void> {
    const { store } = this.#options;
    if (!this.#rules.knows(deviceId)) {
      const [found] = await store.listDevices(deviceId - 1, 1);
      if (found?.deviceId !== deviceId)
        throw new Error(`the store has commits of device ${deviceId}, but not the device`);
      this.#rules.introduce(deviceId, { tenant: found.tenant, device: found.device });
    }
    const { kept, skipped: skippedBefore } = behind;
    const digested = behind.digested ?? (await this.#savedMark(deviceId));
    const page = digested === undefined ? [] : await store.readAfter(deviceId, digested, this.#limits.replayBytes);
    const catalogues = await this.#replay.catalogues(page);
    if (this.busy()) await this.flush();
    // From here to the end nothing waits: what is digested and what is marked stay together.
    const nowUs = this.#options.clock.wallUs();
    let newest = digested;
    for (const stored of page) {
      if (kept !== undefined && stored.position <= kept.position) this.#rollups.fromUs = kept.beforeUs;
      this.#replay.decode(stored, catalogues.get(stored.epochId) ?? [], (batch) => this.#take(batch, nowUs));
      this.#rollups.fromUs = Number.NEGATIVE_INFINITY;
      newest = Math.max(newest ?? 0, stored.position);
    }
    // Commits that hold nothing readable any more (expired, damaged) are behind us as well.
    if (page.length === 0 && skippedBefore > (newest ?? 0)) newest = skippedBefore;
    behind.digested = newest;
    if (newest !== undefined) this.#mark(deviceId, newest);
    if (page.length === 0 && (newest ?? 0) >= behind.skipped) this.#behind.delete(deviceId);
    this.#scheduleFlush();
  }
}

/** What is judged here, from the readings of a series. */
function isOverSeries({ authority, scope }: CompiledRule): boolean {
  return authority === 'collector' && scope === 'series';
}
