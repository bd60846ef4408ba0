import { randomBytes } from 'node:crypto';
import type { ClientMaterial } from '@tributary/core/identity/client-credentials';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import { FleetDevice } from './fleet-device.js';
import { prepareWorkload, type Workload, type WorkloadOptions } from './workload.js';

export interface FleetOptions extends Omit<WorkloadOptions, 'epoch' | 'seed'> {
  /** `host:port` of the collector. */
  address: string;
  /** One per device. */
  materials: readonly ClientMaterial[];
  /** Batches in one upload stream at the most; what the limits allow by default. */
  streamItems?: number;
}

export interface FleetResult {
  readings: number;
  items: number;
  bodyBytes: number;
  seconds: number;
  rejectedItems: number;
  forkedItems: number;
  deferrals: number;
  streams: number;
  answerP50Ms: number;
  answerP99Ms: number;
}

/** Many devices' uplinks in one process. They are prepared first, and sent when `run` is called. */
export class Fleet {
  private readonly devices: FleetDevice[] = [];
  private readonly workloads: Workload[] = [];

  constructor(options: FleetOptions) {
    for (const [seed, material] of options.materials.entries()) {
      const epoch = new Uint8Array(randomBytes(EPOCH_BYTES));
      const workload = prepareWorkload({ ...options, epoch, seed });
      this.workloads.push(workload);
      this.devices.push(new FleetDevice(options.address, material, epoch, workload, options.streamItems));
    }
  }

  async register(): Promise<void> {
    await Promise.all(this.devices.map((device) => device.register()));
  }

  async run(): Promise<FleetResult> {
    const startedMs = performance.now();
    await Promise.all(this.devices.map((device) => device.send()));
    const seconds = (performance.now() - startedMs) / 1000;
    const tallies = this.devices.map((device) => device.tally);
    const sum = (of: (at: number) => number) => this.devices.reduce((total, _, at) => total + of(at), 0);
    const answers = tallies.flatMap((tally) => tally.answerMs).sort((a, b) => a - b);
    return {
      readings: sum((at) => this.workloads[at]!.readings),
      items: sum((at) => tallies[at]!.durableItems),
      bodyBytes: sum((at) => this.workloads[at]!.bodyBytes),
      seconds,
      rejectedItems: sum((at) => tallies[at]!.rejectedItems),
      forkedItems: sum((at) => tallies[at]!.forkedItems),
      deferrals: sum((at) => tallies[at]!.deferrals),
      streams: sum((at) => tallies[at]!.streams),
      answerP50Ms: answers[Math.floor(answers.length * 0.5)] ?? 0,
      answerP99Ms: answers[Math.floor(answers.length * 0.99)] ?? 0,
    };
  }

  close(): void {
    for (const device of this.devices) device.close();
  }
}
