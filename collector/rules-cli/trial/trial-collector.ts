import { setImmediate as turn } from 'node:timers/promises';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { createLogger } from '@tributary/core/log/logger';
import type { Rule } from '@tributary/core/rules/rule';
import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import type { RegisterRequest, RegisterResponse } from '@tributary/proto/gen/tributary/v1/device';
import type { UploadHeader, UploadResponse } from '@tributary/proto/gen/tributary/v1/telemetry';
import type { Item } from '@tributary/proto/items/item';
import { encodeUploadMessage } from '@tributary/proto/items/upload-wire';
import { CommitPump } from '../../ingest/commit-pump.js';
import { IngestCore } from '../../ingest/ingest-core.js';
import { defaultIngestLimits } from '../../ingest/ingest-limits.js';
import { register } from '../../ingest/register.js';
import { deviceReference } from '../../query/read-scope.js';
import { DerivedPipeline } from '../../rules/pipeline.js';
import { openMemory } from '../../store/sqlite/schema.js';
import { SqliteStore } from '../../store/sqlite/sqlite-store.js';
import type { DeviceName } from '../../store/store.js';
import type { SimulatedTime } from './simulated-time.js';

/** An alert, and when the collector recorded it. */
export interface RecordedAlert {
  alert: Alert;
  /** As a trial names it: DEVICE or TENANT/DEVICE. */
  device: string;
  /** Milliseconds from the beginning of the trial. */
  recordedMs: number;
}

/** An incident that fires. */
export interface FiringIncident {
  /** Its newest transition. */
  alert: Alert;
  /** As a trial names it. */
  device: string;
  /** The earliest beginning that is known, event time in microseconds since the Unix epoch. */
  startedAtUs: number;
  /** People were told of it, or will be. */
  isNotified: boolean;
}

const PAGE = 500;

/** What a collector is made of: ingest, store and rules are the real ones; the store lies in memory, and time is simulated. */
export class TrialCollector {
  /** Every alert in the order in which the store took it. */
  readonly records: RecordedAlert[] = [];
  readonly #time: SimulatedTime;
  readonly #database: ReturnType<typeof openMemory>;
  readonly #store: SqliteStore;
  readonly #pipeline: DerivedPipeline;
  readonly #core: IngestCore;
  readonly #devices = new Map<number, string>();
  /** Rejects with what went wrong inside: nothing of it can be tried again. */
  readonly #broken: Promise<never>;
  #break: (error: unknown) => void = () => {};

  static async start(rules: readonly Rule[], time: SimulatedTime): Promise<TrialCollector> {
    const collector = new TrialCollector(rules, time);
    await collector.#pipeline.start();
    return collector;
  }

  private constructor(rules: readonly Rule[], time: SimulatedTime) {
    this.#time = time;
    this.#broken = new Promise((_, reject) => {
      this.#break = reject;
    });
    // Whoever waits for something is told; when nobody does, nothing has gone wrong.
    this.#broken.catch(() => {});
    this.#database = openMemory();
    this.#store = SqliteStore.openInMemory(this.#database);
    this.#record();
    const logger = createLogger('trial', 'silent');
    this.#pipeline = new DerivedPipeline({
      store: this.#store,
      rules,
      clock: time,
      scheduler: time,
      logger,
      wake: () => {},
    });
    const pump = new CommitPump({
      store: this.#store,
      clock: time,
      observeSeconds: () => {},
      bug: (error) => this.#break(error),
      storeChanged: () => {},
    });
    // Half of every jitter: nothing of a trial is left to chance.
    this.#core = new IngestCore({
      limits: defaultIngestLimits,
      random: () => 0.5,
      port: pump,
      follower: this.#pipeline,
    });
    pump.drive(this.#core);
  }

  /** Rejects with a `TributaryError` of code `config` where the collector would refuse the device. */
  async register(name: DeviceName, request: RegisterRequest): Promise<RegisterResponse> {
    const result = await register(
      {
        store: this.#store,
        clock: this.#time,
        core: this.#core,
        limits: defaultIngestLimits,
        introduce: (...parameters: Parameters<DerivedPipeline['introduce']>) => {
          const [deviceId, device] = parameters;
          this.#devices.set(deviceId, deviceReference(device));
          this.#pipeline.introduce(...parameters);
        },
      },
      name,
      request,
    );
    if (result.outcome === 'registered') return result.response;
    throw new TributaryError('config', result.detail);
  }

  /** One stream. Resolves when everything in it is stored and followed; rejects where a real device would have to act. */
  async upload(name: DeviceName, header: UploadHeader, items: readonly Item[]): Promise<void> {
    let response: UploadResponse | undefined;
    const host = {
      answer: (answered: UploadResponse) => {
        response = answered;
      },
      fail: ({ message }: { message: string }) => {
        throw new Error(`the stream failed: ${message}`);
      },
      pause: () => {},
      resume: () => {},
    };
    const nowUs = this.#time.wallUs();
    const stream = this.#core.open(name, host, nowUs);
    stream.message(encodeUploadMessage(header, items), nowUs);
    stream.halfClose(nowUs);
    await this.settle();
    const { rejected = [], later = [], forked = [] } = response ?? {};
    const [refused] = rejected;
    if (refused !== undefined) throw new TributaryError('config', refused.detail);
    if (response === undefined || later.length > 0 || forked.length > 0) {
      throw new Error('the collector of a trial took less than it was sent');
    }
  }

  /** Ends what was begun at this moment: nothing in it waits for anything but the event loop. */
  async settle(): Promise<void> {
    do await Promise.race([turn(), this.#broken]);
    while (!this.#core.idle);
    await Promise.race([turn(), this.#broken]);
  }

  /** Everything that follows from what has arrived is in the store afterwards. */
  async flush(): Promise<void> {
    await Promise.race([this.#pipeline.flush(), this.#broken]);
    await this.settle();
  }

  /** What fires now, as the store knows it; to be called after `flush`. */
  async firing(): Promise<FiringIncident[]> {
    const firing: FiringIncident[] = [];
    let after = '';
    do {
      const page = await this.#store.readIncidents({ openOnly: true, withRetracted: false }, after, PAGE);
      for (const { alert, deviceId, startedAtUs, notified } of page.incidents) {
        firing.push({ alert, device: this.#nameOf(deviceId, alert), startedAtUs, isNotified: notified });
      }
      after = page.next;
    } while (after !== '');
    // Those that became known first come first.
    return firing.reverse();
  }

  async stop(): Promise<void> {
    await this.#pipeline.stop();
    await this.#store.close();
    this.#database.close();
  }

  #record(): void {
    const append = this.#store.appendAlerts.bind(this.#store);
    this.#store.appendAlerts = async (alerts, nowUs) => {
      try {
        const added = await append(alerts, nowUs);
        const recordedMs = this.#time.nowMs();
        for (const { alert, deviceId } of added) {
          this.records.push({ alert, device: this.#nameOf(deviceId, alert), recordedMs });
        }
        return added;
      } catch (error) {
        this.#break(error);
        throw error;
      }
    };
  }

  #nameOf(deviceId: number, alert: Alert): string {
    return this.#devices.get(deviceId) ?? alert.device;
  }
}
