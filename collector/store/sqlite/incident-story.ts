import { type Alert, AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { IncidentEventKind } from '@tributary/proto/gen/tributary/v1/incident';
import type { AlertRecord } from '../store.js';

/** What transitions say of an incident. */
export interface IncidentStory {
  startedAtUs: number;
  firedAtUs: number;
  /** Null while it fires. */
  resolvedAtUs: number | null;
  /** 0 or 1, as SQLite has it. */
  notified: number;
  retracted: number;
  /** Who ended it by hand, or empty: that end stays. */
  resolvedBy: string;
  /** The highest commit that a transition followed from. */
  position: number;
}

/**
 * Whether a transition follows from an earlier commit than what the incident shows: it may still know an earlier beginning,
 * but not how it went on.
 */
export function lagsBehind(story: IncidentStory, { position = story.position }: AlertRecord): boolean {
  return position < story.position;
}

/** What an incident shows after a transition. */
export function storyAfter(story: IncidentStory, record: AlertRecord): IncidentStory {
  const { alert, exact, position = story.position } = record;
  const { state, startedAtUs, transitionAtUs, late, retracted } = alert;
  const isFiring = state === AlertState.FIRING;
  const after = { ...plain(story), notified: late ? story.notified : 1 };
  const isLagging = lagsBehind(story, record);
  if (exact !== undefined && !isLagging) {
    const resolvedAtUs = story.resolvedBy === '' ? (exact.resolvedAtUs ?? null) : story.resolvedAtUs;
    return { ...after, startedAtUs, firedAtUs: exact.firedAtUs, resolvedAtUs, retracted: retracted ? 1 : 0, position };
  }
  after.startedAtUs = Math.min(story.startedAtUs, startedAtUs);
  if (isFiring) after.firedAtUs = Math.min(story.firedAtUs, transitionAtUs);
  if (isLagging) return after;
  after.position = position;
  if (!isFiring) {
    after.retracted = retracted ? 1 : 0;
    if (story.resolvedBy === '') after.resolvedAtUs = transitionAtUs;
    return after;
  }
  after.retracted = 0;
  // What ended it is not known any more: it fires now, or late readings show that it was one after all.
  if (story.resolvedBy === '' && (!late || story.retracted === 1)) after.resolvedAtUs = null;
  return after;
}

/** Whether a transition tells nothing that the incident does not show already. */
export function isShown(story: IncidentStory, record: AlertRecord): boolean {
  const after = storyAfter(story, record);
  return (
    after.startedAtUs === story.startedAtUs &&
    (record.exact === undefined || after.firedAtUs === story.firedAtUs) &&
    after.resolvedAtUs === story.resolvedAtUs &&
    after.retracted === story.retracted
  );
}

/** What a transition is in the history of its incident. `story` is what was there before. */
export function eventOf(
  story: IncidentStory | undefined,
  record: AlertRecord,
): { kind: IncidentEventKind; text: string } {
  const { state, late, retracted } = record.alert;
  const text = late ? 'late' : '';
  if (story === undefined || !late) {
    if (state === AlertState.FIRING) return { kind: IncidentEventKind.FIRED, text };
    return { kind: retracted ? IncidentEventKind.RETRACTED : IncidentEventKind.RESOLVED, text };
  }
  const after = storyAfter(story, record);
  if (after.retracted > story.retracted) return { kind: IncidentEventKind.RETRACTED, text };
  if (story.resolvedAtUs === null && after.resolvedAtUs !== null) return { kind: IncidentEventKind.RESOLVED, text };
  return { kind: IncidentEventKind.CORRECTED, text: corrections(story, after, record.alert).join(', ') };
}

/** What a late transition changes, in words. */
function corrections(story: IncidentStory, after: IncidentStory, alert: Alert): string[] {
  const words: string[] = [];
  if (after.retracted < story.retracted) words.push('it is an incident after all');
  if (after.startedAtUs !== story.startedAtUs) {
    words.push(`it began at ${instant(after.startedAtUs)}, not at ${instant(story.startedAtUs)}`);
  } else if (after.firedAtUs !== story.firedAtUs) {
    words.push(`it fired at ${instant(after.firedAtUs)}, not at ${instant(story.firedAtUs)}`);
  }
  if (story.resolvedBy !== '') {
    if (alert.state === AlertState.RESOLVED) words.push(`it ended at ${instant(alert.transitionAtUs)} by its readings`);
  } else if (after.resolvedAtUs !== story.resolvedAtUs && story.resolvedAtUs !== null) {
    if (after.resolvedAtUs !== null) {
      words.push(`it ended at ${instant(after.resolvedAtUs)}, not at ${instant(story.resolvedAtUs)}`);
    } else if (after.retracted === story.retracted) {
      words.push(`it did not end at ${instant(story.resolvedAtUs)}`);
    }
  }
  return words;
}

function plain({ startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, resolvedBy, position }: IncidentStory) {
  return { startedAtUs, firedAtUs, resolvedAtUs, notified, retracted, resolvedBy, position };
}

function instant(us: number): string {
  // A date says less than a time may be; what is beyond it is told in seconds.
  return Math.abs(us) <= 8.64e18 ? new Date(us / 1000).toISOString() : `${us / 1e6} s`;
}
