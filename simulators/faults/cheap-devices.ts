import { randomBytes } from 'node:crypto';
import { Lane } from '@tributary/proto/gen/tributary/v1/telemetry';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import { compareWorkload } from '../fleet/compare-workload.js';
import { FleetDevice, type FleetPace } from '../fleet/fleet-device.js';
import { prepareWorkload, type WorkloadOptions } from '../fleet/workload.js';
import type { Observer } from '../rig/observer.js';
import type { Rig } from '../rig/rig.js';
import { Durations } from './durations.js';
import { addCounts, type FaultCounts, NOTHING } from './fault.js';

/** A second between two rows, and the last of them now. */
const INTERVAL_US = 1_000_000;

export interface CheapGroup {
  name: string;
  devices: number;
  batches: number;
  batchReadings: number;
  series?: number;
  streamItems?: number;
  pace?: FleetPace;
}

export const live = (pauseMs: number): FleetPace => ({ lane: Lane.LIVE, pauseMs });
export const backfill: FleetPace = { lane: Lane.BACKFILL, pauseMs: 0 };

/** Uplinks without an agent around them, of which one process has many; what each will send is known beforehand. */
export class CheapDevices {
  readonly devices: FleetDevice[] = [];
  readonly names: string[] = [];
  readonly #workloads: WorkloadOptions[] = [];
  readings = 0;

  /** Issues certificates and encodes everything. */
  static async prepare(rig: Rig, port: number, group: CheapGroup): Promise<CheapDevices> {
    const cheap = new CheapDevices();
    const { batches, batchReadings, series = 10, streamItems, pace } = group;
    const lengthUs = ((batches * batchReadings) / series) * INTERVAL_US;
    for (let at = 0; at < group.devices; at++) {
      const name = `${group.name}-${at}`;
      const material = await rig.device(name);
      const epoch = new Uint8Array(randomBytes(EPOCH_BYTES));
      const startUs = Math.floor(Date.now() * 1000 - lengthUs);
      const options = { seed: at, epoch, batchReadings, batches, series, intervalUs: INTERVAL_US, startUs };
      const workload = prepareWorkload(options);
      cheap.readings += workload.readings;
      cheap.names.push(name);
      cheap.#workloads.push(options);
      cheap.devices.push(new FleetDevice(`127.0.0.1:${port}`, material, epoch, workload, streamItems, pace));
    }
    return cheap;
  }

  async register(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.register()));
  }

  async send(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.send()));
  }

  /** From the end of each stream to its answer, of all. */
  get answers(): Durations {
    const durations = new Durations();
    for (const { tally } of this.devices) for (const ms of tally.answerMs) durations.add(ms);
    return durations;
  }

  close(): void {
    for (const device of this.devices) device.close();
  }

  /** What the collector answers for each device, against what was made; its own audit must agree. */
  async compare(observer: Observer): Promise<{ counts: FaultCounts; problems: string[] }> {
    const problems: string[] = [];
    let counts = NOTHING;
    for (const [at, options] of this.#workloads.entries()) {
      const name = this.names[at]!;
      const produced = options.batches * options.batchReadings;
      const { stored, duplicates, altered } = compareWorkload(options, await observer.readings(name));
      const sums = await observer.sums(name);
      const { declared } = sums;
      counts = addCounts(counts, {
        produced,
        stored,
        declared,
        missing: Math.max(0, produced - stored - declared),
        duplicates,
        altered,
      });
      const found = stored + duplicates + altered;
      if (sums.stored !== found) problems.push(`${name}: audit says ${sums.stored} stored, and ${found} were found`);
      if (sums.doubled !== 0) problems.push(`${name}: audit says ${sums.doubled} doubled`);
    }
    return { counts, problems };
  }
}

/** {@link CheapDevices.compare} of several groups. */
export async function compareAll(
  observer: Observer,
  groups: readonly CheapDevices[],
): Promise<{ counts: FaultCounts; problems: string[] }> {
  const problems: string[] = [];
  let counts = NOTHING;
  for (const group of groups) {
    const compared = await group.compare(observer);
    counts = addCounts(counts, compared.counts);
    problems.push(...compared.problems);
  }
  return { counts, problems };
}
