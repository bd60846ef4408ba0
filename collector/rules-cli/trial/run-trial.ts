import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Rule } from '@tributary/core/rules/rule';
import { Lane, type UploadHeader } from '@tributary/proto/gen/tributary/v1/telemetry';
import { SimulatedTime } from './simulated-time.js';
import { type FiringIncident, type RecordedAlert, TrialCollector } from './trial-collector.js';
import { type TimedItem, TrialDevice } from './trial-device.js';
import type { Trial } from './trial-file.js';

/** An idle agent tells its watermark so often. */
const HEARTBEAT_MS = 30_000;

/**
 * The collector may go on so long after the end, with nothing more to hear: it judges history when its holes are filled, and
 * where they are not when it has waited for them.
 */
const AFTERMATH_MS = 2 * 3_600_000;

/** Each device does something at each moment, some 50 microseconds long: two minutes of running. */
const STEPS_MAX = 2_000_000;

/** Items of one stream: far below the mebibyte that a stream may carry. */
const STREAM_ITEMS_MAX = 512;

/** What a collector did in a trial. */
export interface TrialRun {
  /** In the order in which it recorded them. */
  records: RecordedAlert[];
  /** What fired at the moments of the trial's `expect`, by their times. */
  firing: Map<number, FiringIncident[]>;
}

/**
 * Runs a trial from its beginning to its end, with a collector of its own, and answers what it did. Rules that devices evaluate are judged by the
 * same code on what the device itself sees: without the times when it had no link, and without what was lost later.
 */
export async function runTrial(trial: Trial, rules: readonly Rule[]): Promise<TrialRun> {
  const ofCollector = rules.filter(({ evaluate }) => evaluate === 'collector');
  const ofDevice = rules
    .filter(({ evaluate }) => evaluate === 'device')
    .map((rule): Rule => ({ ...rule, evaluate: 'collector' }));
  const run = await runOn(trial, ofCollector, false);
  if (ofDevice.length === 0) return run;
  const other = await runOn(trial, ofDevice, true);
  const records = [...run.records, ...other.records].sort((a, b) => a.recordedMs - b.recordedMs);
  const firing = new Map([...run.firing].map(([atMs, found]) => [atMs, [...found, ...other.firing.get(atMs)!]]));
  return { records, firing };
}

async function runOn(trial: Trial, rules: readonly Rule[], isDevice: boolean): Promise<TrialRun> {
  const references = [...new Set(trial.series.map(({ device }) => device))];
  const devices = references.map((reference) => new DeviceRun(new TrialDevice(trial, reference, isDevice)));
  const time = new SimulatedTime(trial.start);
  const collector = await TrialCollector.start(rules, time);
  try {
    const looks = new Set(trial.expect.map(({ at }) => at));
    const firing = new Map<number, FiringIncident[]>();
    const all = moments(trial, devices);
    if (all.length * devices.length > STEPS_MAX) {
      const detail = `${all.length} moments of ${devices.length} devices are too many; make it shorter, or with fewer devices`;
      throw new TributaryError('config', detail);
    }
    for (const atMs of all) {
      await time.passUntil(atMs, () => collector.settle());
      for (const device of devices) await device.act(collector, time);
      if (!looks.has(atMs)) continue;
      await collector.flush();
      firing.set(atMs, await collector.firing());
    }
    const endUs = time.wallUs();
    await time.passUntil(time.nowMs() + AFTERMATH_MS, () => collector.settle());
    await collector.flush();
    // What happens behind the end, such as a device that is away by then, is no part of the trial.
    return { records: collector.records.filter(({ alert }) => alert.transitionAtUs <= endUs), firing };
  } catch (error) {
    if (!(error instanceof TributaryError) || error.code !== 'config') throw error;
    // What the collector would refuse of a real device, such as a label that is too long.
    throw new TributaryError('config', `the test "${trial.name}": ${error.message}`, { cause: error });
  } finally {
    await collector.stop();
  }
}

/** Every moment in which something happens, in order. */
function moments(trial: Trial, devices: readonly DeviceRun[]): number[] {
  const all = new Set<number>([0]);
  for (const { at } of trial.expect) all.add(at);
  for (const { at, recordedAt = 0 } of trial.transitions ?? []) all.add(at).add(recordedAt);
  for (const { arrivals, device } of devices) {
    for (const atMs of arrivals.keys()) all.add(atMs);
    for (const { until } of device.offline) all.add(until);
  }
  const endMs = Math.max(...all);
  for (let atMs = HEARTBEAT_MS; atMs < endMs; atMs += HEARTBEAT_MS) all.add(atMs);
  return [...all].sort((a, b) => a - b);
}

/** The agent of a trial: it sends what is due, live before backfill, and a heartbeat where nothing is. */
class DeviceRun {
  readonly device: TrialDevice;
  readonly arrivals = new Map<number, TimedItem[]>();
  #token = 0;
  #isRegistered = false;
  /** Items that were produced, and readings in them. */
  #produced = 0;
  #readingsProduced = 0;
  /** Sequences that the device still holds. */
  readonly #waiting = new Set<number>();
  #readingsWaiting = 0;
  #newestSequence = 0;

  constructor(device: TrialDevice) {
    this.device = device;
    for (const item of device.items) {
      const at = this.arrivals.get(item.arrivesMs);
      if (at === undefined) this.arrivals.set(item.arrivesMs, [item]);
      else at.push(item);
    }
  }

  async act(collector: TrialCollector, time: SimulatedTime): Promise<void> {
    const { device } = this;
    const nowMs = time.nowMs();
    this.#produce(nowMs);
    if (!device.isOnline(nowMs)) {
      this.#isRegistered = false;
      return;
    }
    if (!this.#isRegistered) {
      const { fencingToken } = await collector.register(device.name, device.registration(time.monotonicUs()));
      this.#token = fencingToken;
      this.#isRegistered = true;
    }
    const due = this.arrivals.get(nowMs) ?? [];
    const live = due.filter(({ lane }) => lane === Lane.LIVE);
    const backfill = due.filter(({ lane }) => lane === Lane.BACKFILL);
    // Without items it is a heartbeat: it tells the watermark and what waits.
    await this.#send(collector, time, Lane.LIVE, live);
    if (backfill.length > 0) await this.#send(collector, time, Lane.BACKFILL, backfill);
  }

  async #send(collector: TrialCollector, time: SimulatedTime, lane: Lane, items: readonly TimedItem[]): Promise<void> {
    for (let from = 0; from === 0 || from < items.length; from += STREAM_ITEMS_MAX) {
      const part = items.slice(from, from + STREAM_ITEMS_MAX);
      const header = this.#header(lane, time.wallUs());
      await collector.upload(
        this.device.name,
        header,
        part.map(({ item }) => item),
      );
      for (const { item } of part) {
        if (this.#waiting.delete(item.sequence)) this.#readingsWaiting -= item.readings;
      }
    }
  }

  #produce(nowMs: number): void {
    const { items } = this.device;
    for (; this.#produced < items.length && items[this.#produced]!.producedMs <= nowMs; this.#produced += 1) {
      const { item } = items[this.#produced]!;
      this.#readingsProduced = item.readingsBefore + item.readings;
      this.#readingsWaiting += item.readings;
      this.#newestSequence = item.sequence;
      this.#waiting.add(item.sequence);
    }
  }

  #header(lane: Lane, nowUs: number): UploadHeader {
    // In the order in which they were produced.
    const [first] = this.#waiting;
    return {
      epoch: this.device.epoch,
      fencingToken: this.#token,
      lane,
      watermarkUs: nowUs,
      watermarkSegment: 0,
      backlog: first === undefined ? undefined : { first, last: this.#newestSequence },
      readingsProduced: this.#readingsProduced,
      readingsWaiting: this.#readingsWaiting,
    };
  }
}
