import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import { compileRule } from '@tributary/core/rules/compiled-rule';
import type { Rule } from '@tributary/core/rules/rule';
import type { Attributes } from '@tributary/core/rules/selection';
import type { Logger } from 'pino';
import type { StandingRule } from '../incidents/rule-states.js';
import type { CommittedBatch, CommittedNote, CommittedTransition, Follower, Watermark } from '../ingest/committed.js';
import { RollupBuffer } from '../rollups/rollup-buffer.js';
import type { DeviceName, RuleStateRow, Store } from '../store/store.js';
import { adoptedAlert } from './adopted-alert.js';
import { AlertMaker } from './alert-maker.js';
import { AlertOutbox } from './alert-outbox.js';
import { type Behind, BehindDevices } from './behind-devices.js';
import { DEFAULT_DERIVED_LIMITS, type DerivedLimits } from './derived-limits.js';
import { DerivedSaver } from './derived-saver.js';
import { DeviceLoader } from './device-loader.js';
import { DeviceWatch } from './device-watch.js';
import { Digest } from './digest.js';
import { DigestedCommits } from './digested-commits.js';
import { LiveEvaluator } from './live-evaluator.js';
import { Rejudge } from './rejudge.js';
import { RejudgeSchedule } from './rejudge-schedule.js';
import { Replay } from './replay.js';
import { RuleHost } from './rule-host.js';
import { changedRows } from './rule-rows.js';
import { standingsOf } from './rule-standings.js';

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

/**
 * What follows from committed data: rollups, rule states and alerts. Commits are digested as they come. Where saving cannot
 * keep up, a device is new to this process, another process has digested commits of it, or its history is judged anew, its
 * commits are read back from the store instead: memory stays bounded, and each commit is digested once.
 *
 * A mark is saved with everything that follows from the commits up to it, after their alerts are stored. A crash at any
 * point therefore repeats commits, never skips them; repeated alerts have the same ids and are dropped by the store.
 */
export class DerivedPipeline implements Follower {
  readonly #options: DerivedPipelineOptions;
  readonly #limits: DerivedLimits;
  readonly #rollups = new RollupBuffer();
  readonly #host: RuleHost;
  readonly #live: LiveEvaluator;
  readonly #maker: AlertMaker;
  readonly #digest: Digest;
  readonly #replay: Replay;
  readonly #outbox: AlertOutbox;
  readonly #saver: DerivedSaver;
  readonly #loader: DeviceLoader;
  readonly #watch: DeviceWatch;
  readonly #schedule: RejudgeSchedule;
  readonly #behind: BehindDevices;
  readonly #digested: DigestedCommits;
  #batchesFailed = 0;
  #adopted = 0;

  constructor(options: DerivedPipelineOptions) {
    this.#options = options;
    const { store, clock, scheduler, logger, wake } = options;
    this.#limits = { ...DEFAULT_DERIVED_LIMITS, ...options.limits };
    this.#outbox = new AlertOutbox({
      store,
      clock,
      scheduler,
      wake,
      failed: (error) => logger.warn({ err: error }, 'alerts could not be stored; trying again'),
    });
    this.#host = new RuleHost((options.rules ?? []).map(compileRule));
    this.#maker = new AlertMaker((record) => this.#outbox.push(record));
    const nowMs = () => scheduler.nowMs();
    this.#live = new LiveEvaluator(this.#host, this.#maker, nowMs);
    this.#digest = new Digest(this.#rollups, options.rules === undefined ? undefined : this.#live);
    this.#replay = new Replay(store);
    const { flushIntervalMs, rollupRowsMax } = this.#limits;
    this.#saver = new DerivedSaver({
      ...{ store, clock, scheduler, logger, flushIntervalMs, rollupRowsMax },
      rollups: this.#rollups,
      outbox: this.#outbox,
      rowsOf: (deviceId) => this.#rowsOf(deviceId),
      refused: (deviceIds) => this.#lose(deviceIds),
    });
    this.#loader = new DeviceLoader({ store, host: this.#host, outbox: this.#outbox, clock, nowMs });
    this.#watch = new DeviceWatch({
      ...{ host: this.#host, maker: this.#maker, clock, scheduler },
      lastSeenUs: async (deviceId) => (await store.listDevices(deviceId - 1, 1))[0]?.lastSeenUs ?? 0,
      changed: (deviceId) => this.#touch(deviceId),
    });
    this.#behind = new BehindDevices({
      logger,
      step: (deviceId, behind) => this.#step(deviceId, behind),
      pause: () => this.#saver.pause(),
    });
    this.#digested = new DigestedCommits({
      host: this.#host,
      saver: this.#saver,
      behind: this.#behind,
      rollups: this.#rollups,
      busy: () => this.busy(),
      forgotten: (deviceId) => this.#schedule.forget(deviceId),
    });
    const rejudge = new Rejudge({ store, host: this.#host, maker: this.#maker, limits: this.#limits });
    this.#schedule = new RejudgeSchedule({
      ...{ host: this.#host, scheduler, logger, limits: this.#limits },
      judge: (deviceId) => this.#rejudge(rejudge, deviceId),
    });
  }

  /** Takes up where the last process stopped, and replays what it had not digested. To be awaited before serving. */
  async start(): Promise<void> {
    const { store, rules } = this.#options;
    const { kept, loaded } = await this.#loader.loadAll(rules !== undefined);
    for (const mark of loaded) this.#digested.loaded(mark);
    for (const { deviceId } of await store.undigested()) {
      const position = this.#digested.get(deviceId);
      this.#behind.add(deviceId, position, position ?? 0, kept.get(deviceId));
    }
    await this.#behind.catchUp();
    // A process that ends soon again has then not repeated this for nothing.
    await this.flush();
    this.#watch.start();
    for (const deviceId of this.#host.devices.keys()) this.#schedule.look(deviceId);
  }

  /** Tells who a device is as soon as it registers. */
  introduce(deviceId: number, name: DeviceName, attributes: Attributes = {}): void {
    const device = this.#host.introduce(deviceId, name, attributes);
    for (const cell of this.#host.setAttributes(device, attributes)) {
      this.#maker.abandon(device, cell, "the device's attributes have changed, and the rule is not for it any more");
      this.#touch(deviceId);
    }
    this.#watch.heard(deviceId);
  }

  follow(batches: readonly CommittedBatch[]): void {
    let deviceId = Number.NaN;
    let position = Number.NaN;
    let passed = false;
    for (const batch of batches) {
      if (batch.deviceId !== deviceId || batch.position !== position) {
        deviceId = batch.deviceId;
        position = batch.position;
        passed = this.#digested.passBy(deviceId, position);
        if (!passed) this.#digested.mark(deviceId, position);
      }
      if (passed) continue;
      this.#take(batch);
      this.#schedule.look(deviceId);
    }
    this.#goOn();
  }

  note(notes: readonly CommittedNote[]): void {
    for (const note of notes) {
      const { deviceId, position } = note;
      this.#digested.noted(deviceId, position);
      if (this.#options.rules === undefined) continue;
      const digested = this.#digested.get(deviceId);
      // What is read back, or not loaded yet, comes by with its commit.
      if (digested === undefined ? position !== 1 || !this.#host.knows(deviceId) : position <= digested) continue;
      if (this.#behind.get(deviceId) !== undefined) continue;
      this.#live.note(note);
      this.#schedule.look(deviceId);
    }
  }

  adopt(transitions: readonly CommittedTransition[]): void {
    for (const committed of transitions) {
      const { deviceId, position } = committed;
      if (this.#digested.passBy(deviceId, position)) continue;
      this.#digested.noted(deviceId, position);
      this.#adopt(committed);
    }
  }

  committed(deviceId: number, position: number): void {
    this.#digested.committed(deviceId, position);
    this.#watch.heard(deviceId);
    this.#goOn();
  }

  watermark(watermark: Watermark): void {
    const { deviceId } = watermark;
    if (this.#options.rules === undefined || !this.#host.knows(deviceId)) return;
    this.#watch.heard(deviceId);
    const behind = this.#behind.get(deviceId);
    if (behind !== undefined) behind.watermark = watermark;
    else if (this.#digested.has(deviceId)) this.#passTime(watermark);
  }

  heard(deviceId: number): void {
    this.#watch.heard(deviceId);
  }

  uncertain(deviceId: number): void {
    if (this.#behind.get(deviceId) !== undefined) return;
    const digested = this.#digested.get(deviceId);
    this.#behind.add(deviceId, digested, digested ?? 0);
    void this.#behind.catchUp();
  }

  /** Saving does not keep up with what is committed. */
  busy(): boolean {
    return (
      (this.#saver.saving && this.#rollups.length >= this.#limits.rollupRowsMax) ||
      this.#outbox.length >= this.#limits.alertsMax
    );
  }

  /** Saves everything that is digested now. Rejects when the store fails and the pipeline is being stopped. */
  flush(): Promise<void> {
    return this.#saver.flush();
  }

  /** Judges the history of all devices anew that must be, without waiting for what is missing. */
  async settle(): Promise<void> {
    await this.#watch.settled();
    await this.#behind.catchUp();
    await this.#schedule.runAll();
    await this.#behind.catchUp();
    await this.flush();
  }

  /**
   * Puts other rules in force. What an unchanged rule knows stays. Incidents of rules that are gone or changed end now, with
   * the reason among their annotations; new rules begin with what comes.
   */
  replaceRules(rules: readonly Rule[]): void {
    const compiled = rules.map(compileRule);
    const names = new Set(compiled.map(({ name }) => name));
    for (const { device, cell } of this.#host.replace(compiled)) {
      const reason = names.has(cell.rule.name) ? 'the rule was changed' : 'the rule was removed';
      this.#maker.abandon(device, cell, reason);
    }
    for (const deviceId of this.#host.devices.keys()) this.#touch(deviceId);
    this.#watch.replaced();
  }

  /** Where each rule stands for each series of a device, and for the device itself. */
  ruleStates(deviceId: number): StandingRule[] {
    const device = this.#host.devices.get(deviceId);
    return device === undefined ? [] : standingsOf(device, this.#options.clock.wallUs());
  }

  /** Saves what it can and ends. What could not be saved is replayed at the next start. */
  async stop(): Promise<void> {
    const watched = this.#watch.stop();
    const caughtUp = this.#behind.stop();
    const judged = this.#schedule.stop();
    this.#saver.stop();
    this.#outbox.lastAttempt();
    await Promise.all([watched, caughtUp, judged]);
    try {
      await this.flush();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'derived data could not be saved; it is made again at the next start');
    }
  }

  get counters() {
    return {
      devicesBehind: this.#behind.size,
      devicesLost: this.#digested.lost,
      rollupRowsWaiting: this.#rollups.length,
      alertsWaiting: this.#outbox.length,
      alertsStored: this.#outbox.stored,
      readingsPostponedByRules: this.#live.readingsPostponed,
      readingsFromFuture: this.#digest.readingsFromFuture,
      batchesUndecodable: this.#replay.undecodable,
      batchesFailed: this.#batchesFailed,
      transitionsAdopted: this.#adopted,
      rules: this.#host.rules.length,
      ruleInstances: this.#host.instances,
      ruleInstancesRefused: this.#host.instancesRefused,
      ...this.#schedule.counters,
    };
  }

  #rowsOf(deviceId: number): RuleStateRow[] {
    const device = this.#options.rules === undefined ? undefined : this.#host.devices.get(deviceId);
    return device === undefined ? [] : changedRows(device);
  }

  /** A bug that one batch meets hurts no other, and is not met again for ever when the batch is read back. */
  #take(batch: CommittedBatch): void {
    try {
      this.#digest.take(batch);
    } catch (error) {
      this.#batchesFailed += 1;
      const { deviceId, sequence } = batch;
      this.#options.logger.error(
        { err: error, deviceId, sequence },
        'a batch was left out of rollups and rules: a bug',
      );
    }
  }

  /** A pipeline that leaves alerts alone leaves these alone too. */
  #adopt(committed: CommittedTransition): void {
    const device = this.#host.devices.get(committed.deviceId);
    if (device === undefined || this.#options.rules === undefined) return;
    this.#adopted += 1;
    this.#outbox.push(adoptedAlert(device.name, committed));
  }

  /** Something of a device's rules has changed without a commit. */
  #touch(deviceId: number): void {
    this.#digested.touch(deviceId);
    this.#saver.schedule();
  }

  #passTime(watermark: Watermark): void {
    this.#live.watermark(watermark);
    if (this.#host.device(watermark.deviceId).changed) this.#touch(watermark.deviceId);
  }

  #goOn(): void {
    if (this.#behind.size > 0) void this.#behind.catchUp();
    this.#saver.schedule();
  }

  /** Another process has digested commits of these devices. */
  #lose(deviceIds: readonly number[]): void {
    for (const deviceId of deviceIds) this.#digested.lose(deviceId);
    void this.#behind.catchUp();
  }

  /** Holds a device back while its history is judged anew; what it commits meanwhile is read back afterwards. */
  async #rejudge(rejudge: Rejudge, deviceId: number): Promise<void> {
    const digested = this.#digested.get(deviceId);
    // Commits that wait to be read back come first: they may bring what is missing.
    if (digested === undefined || this.#behind.get(deviceId) !== undefined) return;
    const behind = this.#behind.add(deviceId, digested, digested);
    behind.isHeld = true;
    try {
      // What was told so far is then told for ever, and a restart begins right here. Where another process has moved the
      // mark, this one has no business with the device.
      this.#saver.mark(deviceId, digested);
      await this.#saver.flushDevice(deviceId);
      const isDone = await rejudge.run(deviceId, digested, () => this.#behind.get(deviceId) === behind);
      if (!isDone) return;
      this.#saver.mark(deviceId, digested);
      await this.#saver.flushDevice(deviceId);
    } finally {
      behind.isHeld = false;
      void this.#behind.catchUp();
    }
  }

  /** One page of a device's commits; the device is no longer behind when there is none. */
  async #step(deviceId: number, behind: Behind): Promise<void> {
    const { store } = this.#options;
    if (behind.digested === undefined) {
      const mark = await this.#loader.load(deviceId, this.#options.rules !== undefined);
      this.#digested.loaded(mark);
      behind.digested = mark.position;
      behind.kept = mark.kept;
    }
    const { kept, skipped: skippedBefore } = behind;
    const page = await store.readAfter(deviceId, behind.digested, this.#limits.replayBytes);
    const catalogues = await this.#replay.catalogues(page);
    if (this.busy()) await this.flush();
    if (this.#behind.get(deviceId) !== behind) return;
    // From here to the end nothing waits: what is digested and what is marked stay together.
    let newest = behind.digested;
    for (const stored of page) {
      if (kept !== undefined && stored.position <= kept.position) this.#rollups.fromUs = kept.beforeUs;
      const catalogue = catalogues.get(stored.epochId) ?? [];
      this.#replay.decode(
        stored,
        catalogue,
        (batch) => this.#take(batch),
        (note) => this.#live.note(note),
        (transition) => this.#adopt(transition),
      );
      this.#rollups.fromUs = Number.NEGATIVE_INFINITY;
      newest = Math.max(newest, stored.position);
    }
    // Commits that hold nothing readable any more (expired, damaged) are behind us as well.
    if (page.length === 0 && skippedBefore > newest) newest = skippedBefore;
    behind.digested = newest;
    this.#digested.mark(deviceId, newest);
    if (page.length === 0 && newest >= behind.skipped) {
      this.#behind.remove(deviceId);
      if (behind.watermark !== undefined) this.#passTime(behind.watermark);
    }
    this.#schedule.look(deviceId);
    this.#saver.schedule();
  }
}
