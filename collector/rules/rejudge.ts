import { incidentId } from '@tributary/core/rules/incident-id';
import { RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import type { StoredIncident } from '../store/incidents.js';
import type { CatalogueSeries, Store } from '../store/store.js';
import type { AlertMaker } from './alert-maker.js';
import { addCheckpoint, type CheckpointBody, checkpointFor, dropCheckpointsAfter, readBody } from './checkpoint.js';
import { correctionRecords } from './correction-records.js';
import type { DerivedLimits } from './derived-limits.js';
import { HistoryWalk, walkFromUs } from './history-walk.js';
import { reconcile } from './reconcile.js';
import { Replay } from './replay.js';
import type { RuleHost } from './rule-host.js';
import { checkpointRow } from './rule-rows.js';
import type { Cell, DeviceTrack } from './tracks.js';
import type { WalkCell } from './walk-cell.js';

export interface RejudgeOptions {
  store: Store;
  host: RuleHost;
  maker: AlertMaker;
  limits: Pick<DerivedLimits, 'historyBytes'>;
}

/** Incidents of one page. */
const INCIDENTS_PAGE = 500;

/** Judges a device's history anew, from before the earliest of what it must, and corrects what is recorded. */
export class Rejudge {
  readonly #options: RejudgeOptions;
  readonly #replay: Replay;

  constructor(options: RejudgeOptions) {
    this.#options = options;
    this.#replay = new Replay(options.store);
  }

  /**
   * What was digested up to `position` counts. Nobody else may touch the device's rules meanwhile; `isCurrent` says whether
   * that is still so. Answers whether it was done.
   */
  async run(deviceId: number, position: number, isCurrent: () => boolean): Promise<boolean> {
    const { host } = this.#options;
    const device = host.device(deviceId);
    const { generation } = host;
    const mayGoOn = () => isCurrent() && host.generation === generation;
    const { dirt } = device;
    if (dirt === undefined) return false;
    const start = await this.#start(device, dirt.afterUs);
    if (!mayGoOn()) return false;
    const later = device.checkpoints.map(({ timeUs }) => timeUs).filter((timeUs) => !(timeUs <= dirt.afterUs));
    const remade: CheckpointBody[] = [];
    const walk = new HistoryWalk(host, device, start.body, later, (body) => remade.push(body));
    if (!(await this.#walk(walk, device, start.fromUs, position, mayGoOn))) return false;
    walk.finish(device.toldUs);
    const fromUs = start.body?.timeUs ?? walk.firstUs - 1;
    // What was due before a checkpoint is judged behind it: a truth may be older than where the walk began.
    const earliestUs = walk.cells.reduce(
      (least, { truths }) => Math.min(least, truths[0]?.incident.startedAtUs ?? least),
      fromUs,
    );
    const recorded = await this.#recorded(deviceId, earliestUs);
    const [mark] = await this.#options.store.derivedMarks(deviceId);
    if (!mayGoOn() || mark?.position !== position) return false;
    // From here to the end nothing waits.
    device.passes += 1;
    for (const walkCell of walk.cells) this.#correct(device, walkCell, recorded, fromUs);
    takeOver(device, walk);
    dropCheckpointsAfter(device, start.body?.timeUs ?? Number.NEGATIVE_INFINITY);
    device.dirt = undefined;
    for (const body of remade) addCheckpoint(device, body);
    return true;
  }

  /** The newest checkpoint that everything can be judged from; one that cannot be read is given up. */
  async #start(device: DeviceTrack, afterUs: number): Promise<{ body: CheckpointBody | undefined; fromUs: number }> {
    for (;;) {
      const head = checkpointFor(device, afterUs);
      if (head === undefined) return { body: undefined, fromUs: walkFromUs(undefined) };
      const text = device.newCheckpoints.get(head.number) ?? (await this.#stored(device.deviceId, head.number));
      const body = text === undefined ? undefined : readBody(text);
      if (body?.timeUs === head.timeUs) return { body, fromUs: walkFromUs(head) };
      device.checkpoints = device.checkpoints.filter((one) => one !== head);
      device.changed = true;
    }
  }

  async #stored(deviceId: number, number: number): Promise<string | undefined> {
    const [row] = await this.#options.store.loadRuleStates({ deviceId, rule: checkpointRow(number) });
    return row?.state;
  }

  async #walk(
    walk: HistoryWalk,
    { deviceId }: DeviceTrack,
    fromUs: number,
    position: number,
    mayGoOn: () => boolean,
  ): Promise<boolean> {
    const { store, limits } = this.#options;
    const catalogues = new Map<number, (CatalogueSeries | undefined)[]>();
    const range = { deviceId, fromUs, untilUs: Number.MAX_SAFE_INTEGER };
    let after = '';
    do {
      const { items: page, next } = await store.readRange(range, after, limits.historyBytes);
      await this.#replay.catalogues(page, catalogues);
      if (!mayGoOn()) return false;
      let horizonUs = Number.NEGATIVE_INFINITY;
      for (const stored of page) {
        if (stored.position > position) continue;
        this.#replay.decode(
          stored,
          catalogues.get(stored.epochId) ?? [],
          (batch) => walk.take(batch),
          () => {},
        );
        horizonUs = stored.items.at(-1)?.firstUs ?? horizonUs;
      }
      walk.release(horizonUs);
      after = next;
    } while (after !== '');
    return true;
  }

  /** What is recorded of a device and may be judged now, by rule, and series where the rule is over series. */
  async #recorded(deviceId: number, fromUs: number): Promise<Map<string, StoredIncident[]>> {
    const { store } = this.#options;
    const recorded = new Map<string, StoredIncident[]>();
    const range = { fromUs, untilUs: Number.POSITIVE_INFINITY };
    const filter = { deviceId, range, openOnly: false, withRetracted: true };
    let after = '';
    do {
      const { incidents, next } = await store.readIncidents(filter, after, INCIDENTS_PAGE);
      for (const incident of incidents) {
        for (const key of [incident.alert.rule, `${incident.alert.rule}/${incident.seriesId}`]) {
          const known = recorded.get(key);
          if (known === undefined) recorded.set(key, [incident]);
          else known.push(incident);
        }
      }
      after = next;
    } while (after !== '');
    return recorded;
  }

  #correct(
    device: DeviceTrack,
    { cell, instance, truths, timeUs }: WalkCell,
    recorded: ReadonlyMap<string, StoredIncident[]>,
    fromUs: number,
  ): void {
    const key = cell.seriesId === 0 ? cell.rule.name : `${cell.rule.name}/${cell.seriesId}`;
    // What an earlier version of the rule has found is none of its business, nor what the device itself has.
    const own = (recorded.get(key) ?? []).filter(
      (one) => one.alert.authority !== RuleAuthority.DEVICE && one.firedAtUs > cell.beginUs,
    );
    const { corrections, open } = reconcile(truths, own, fromUs);
    for (const correction of corrections) {
      for (const record of correctionRecords(device, cell, correction, this.#options.maker)) {
        this.#options.maker.emit(record);
      }
    }
    cell.instance = instance;
    cell.incident = open;
    cell.takenBack = pendingId(cell, own);
    cell.timeUs = timeUs;
    cell.changed = true;
  }
}

/** What is pending again under the id of what was recorded. */
function pendingId({ rule, instance, identity }: Cell, recorded: readonly StoredIncident[]): Uint8Array | undefined {
  if (instance.phase !== 'pending' || instance.onset === undefined) return undefined;
  const id = incidentId(rule.name, identity, instance.onset);
  return recorded.some(({ incidentId: known }) => Buffer.compare(known, id) === 0) ? id : undefined;
}

/** The series go on from where the walk has come to. */
function takeOver(device: DeviceTrack, walk: HistoryWalk): void {
  for (const track of device.tracks.values()) {
    const walked = walk.track(track.seriesId);
    if (walked === undefined || walked.timeUs === track.timeUs) continue;
    track.timeUs = walked.timeUs;
    track.epoch = walked.epoch;
    // It was found in history.
    track.isLive = false;
    track.changed = true;
  }
}
