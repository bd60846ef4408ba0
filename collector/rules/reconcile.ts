import type { StoredIncident } from '../store/incidents.js';
import type { OpenIncident } from './tracks.js';
import type { Truth } from './truth.js';

/** What is to be done about one incident, for whoever makes alerts of it. */
export type Correction =
  /** An incident that nobody knows of. */
  | { kind: 'new'; truth: Truth }
  /** A recorded incident is this one: the record is to show it exactly so. `tellsEnd`: whoever was told is told of its end. */
  | { kind: 'corrected'; truth: Truth; recorded: StoredIncident; tellsEnd: boolean }
  /** There was no such incident. `tellsEnd`: whoever was told that it fires is told that it does not. */
  | { kind: 'retracted'; recorded: StoredIncident; tellsEnd: boolean }
  /** It began before anything that is known now, and has ended by the time from which on all is known. */
  | { kind: 'ended'; recorded: StoredIncident; atUs: number };

export interface Reconciliation {
  corrections: Correction[];
  /** What fires now, as it is recorded from now on. */
  open: OpenIncident | undefined;
}

/**
 * Compares what one rule truly found for one series with what is recorded of it, from `fromUs` on. The same onset is the
 * same incident, and so is a record that an earlier comparison has made to show just this. A recorded incident that somebody
 * was told of, and whose onset is none in truth, gives its id to a true one that it overlaps: one that fires to one that
 * fires, and one that contains its beginning before any other. What is left of the records is no incident at all; what is
 * left of the truth is new, and nobody is told of it as if it were now.
 */
export function reconcile(
  truths: readonly Truth[],
  recorded: readonly StoredIncident[],
  fromUs: number,
): Reconciliation {
  const matches = new Map<Truth, StoredIncident>();
  const left = new Set(recorded);
  const match = (truth: Truth, one: StoredIncident | undefined) => {
    if (one === undefined || !left.has(one) || matches.has(truth)) return;
    matches.set(truth, one);
    left.delete(one);
  };
  const byId = new Map(recorded.map((one) => [hex(one.incidentId), one]));
  const byTimes = new Map(recorded.filter(isStanding).map((one) => [timesOf(one), one]));
  for (const truth of truths) {
    const one = byId.get(hex(truth.incident.id));
    if (one !== undefined && isStanding(one)) match(truth, one);
  }
  for (const truth of truths) match(truth, byTimes.get(timesOf(truth.incident)));
  for (const truth of truths) match(truth, byId.get(hex(truth.incident.id)));
  const displaced = adopt(truths, left, matches, fromUs);
  const corrections: Correction[] = [];
  let open: OpenIncident | undefined;
  for (const truth of truths) {
    const one = matches.get(truth);
    // Before another one everything is known.
    if (one !== undefined && truth === truths[0]) startAsRecorded(truth, one, fromUs);
    const { incident, end } = truth;
    if (one === undefined) corrections.push({ kind: 'new', truth });
    else if (!shows(one, truth)) {
      const isOpen = one.resolvedAtUs === undefined;
      corrections.push({
        kind: 'corrected',
        truth,
        recorded: one,
        tellsEnd: isOpen && one.notified && end !== undefined,
      });
    }
    if (end === undefined) {
      open = one === undefined ? incident : { ...incident, id: one.incidentId, notified: one.notified };
    }
  }
  for (const one of left) {
    const isOpen = one.resolvedAtUs === undefined;
    if (one.retracted) continue;
    if (displaced.has(one) || one.firedAtUs >= fromUs) {
      corrections.push({ kind: 'retracted', recorded: one, tellsEnd: isOpen && one.notified });
    } else if (isOpen) corrections.push({ kind: 'ended', recorded: one, atUs: Math.max(one.firedAtUs, fromUs) });
  }
  return { corrections, open };
}

/** Gives records whose onset is none in truth to the true incidents that they overlap; answers those that had to give way. */
function adopt(
  truths: readonly Truth[],
  left: Set<StoredIncident>,
  matches: Map<Truth, StoredIncident>,
  fromUs: number,
): Set<StoredIncident> {
  const displaced = new Set<StoredIncident>();
  const told = [...left]
    .filter((one) => isStanding(one) && (one.notified || one.firedAtUs < fromUs))
    // What was over before anything that is judged now is none of its business.
    .filter((one) => (one.resolvedAtUs ?? Number.POSITIVE_INFINITY) > fromUs)
    .sort((a, b) => Number(isOpen(b)) - Number(isOpen(a)) || order(a, b));
  for (const one of told) {
    // A late record gives way to one that somebody was told of, and what was told to have ended to what was not.
    const free = truths.filter((truth) => {
      const before = matches.get(truth);
      const yields = before?.notified !== true || (isOpen(one) && truth.end === undefined && !isOpen(before));
      return yields && overlaps(truth, one);
    });
    const truth =
      free.find(({ end }) => (end === undefined) === isOpen(one)) ??
      free.find(({ incident }) => incident.startedAtUs <= one.startedAtUs) ??
      free[0];
    if (truth === undefined) continue;
    const before = matches.get(truth);
    if (before !== undefined) {
      left.add(before);
      displaced.add(before);
    }
    matches.set(truth, one);
    left.delete(one);
  }
  return displaced;
}

/** Of what had fired before anything is known that is known now, the recorded beginning stands. */
function startAsRecorded(truth: Truth, { startedAtUs, firedAtUs }: StoredIncident, fromUs: number): void {
  // One that began before that is known from a checkpoint, and so is when it fired.
  if (truth.isInherited || firedAtUs >= fromUs || truth.incident.startedAtUs < fromUs) return;
  truth.incident = { ...truth.incident, startedAtUs, firedAtUs };
}

function isStanding({ retracted }: StoredIncident): boolean {
  return !retracted;
}

function isOpen({ resolvedAtUs }: StoredIncident): boolean {
  return resolvedAtUs === undefined;
}

function timesOf({ startedAtUs, firedAtUs }: { startedAtUs: number; firedAtUs: number }): string {
  return `${startedAtUs}/${firedAtUs}`;
}

function order(a: StoredIncident, b: StoredIncident): number {
  return a.startedAtUs - b.startedAtUs || Buffer.compare(a.incidentId, b.incidentId);
}

/** One that begins where the other ends is another. */
function overlaps({ incident, end }: Truth, one: StoredIncident): boolean {
  return (
    incident.startedAtUs < (one.resolvedAtUs ?? Number.POSITIVE_INFINITY) &&
    one.startedAtUs < (end?.atUs ?? Number.POSITIVE_INFINITY)
  );
}

/** Whether the record shows the incident as it was. An end by hand stands. */
function shows(one: StoredIncident, { incident, end }: Truth): boolean {
  return (
    !one.retracted &&
    one.startedAtUs === incident.startedAtUs &&
    one.firedAtUs === incident.firedAtUs &&
    (one.resolvedBy !== '' || one.resolvedAtUs === end?.atUs)
  );
}

function hex(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');
}
