import type { Silence } from '@tributary/proto/gen/tributary/v1/incident';
import { CallError } from '../server/call-error.js';
import { checkComment, checkPattern } from './incident-request.js';

const DAY_US = 86_400e6;
/** What must be silent for longer is a rule that nobody wants; a season's standstill fits. */
const SILENCE_DAYS_MAX = 180;
/** How long before it begins a silence may be made: the next works holidays. */
const AHEAD_DAYS_MAX = 366;
/** Every alert is compared with all of them; who needs more names a label in the rules. */
const MATCHERS_MAX = 16;
const LABEL_LENGTH_MAX = 128;

/**
 * A silence as it is to be stored, from one that somebody asks for. `by` is who, `nowUs` the collector's clock. Throws a
 * `CallError` that names the field.
 */
export function checkSilence(silence: Silence | undefined, by: string, nowUs: number): Silence {
  if (silence === undefined) throw new CallError('invalid', 'silence: missing; write matchers and until_us');
  for (const [field, given] of [
    ['silence_id', silence.silenceId],
    ['created_by', silence.createdBy],
    ['created_at_us', silence.createdAtUs === 0 ? '' : String(silence.createdAtUs)],
  ] as const) {
    if (given !== '') throw new CallError('invalid', `silence.${field}: ${given}; leave it out, the collector says it`);
  }
  const globs = checkGlobs(silence.matchers?.globs ?? {});
  const { untilUs } = silence;
  const fromUs = silence.fromUs === 0 ? nowUs : silence.fromUs;
  if (untilUs <= Math.max(nowUs, fromUs)) {
    const after = fromUs > nowUs ? 'from_us' : 'now';
    throw new CallError('invalid', `silence.until_us: ${time(untilUs)}; it must lie after ${after}`);
  }
  if (fromUs > nowUs + AHEAD_DAYS_MAX * DAY_US) {
    throw new CallError('invalid', `silence.from_us: ${time(fromUs)}; at most ${AHEAD_DAYS_MAX} days ahead are taken`);
  }
  if (untilUs - Math.max(nowUs, fromUs) > SILENCE_DAYS_MAX * DAY_US) {
    const remedy = `at most ${SILENCE_DAYS_MAX} days are taken; change the rule instead`;
    throw new CallError('invalid', `silence.until_us: ${time(untilUs)}; ${remedy}`);
  }
  const comment = checkComment(silence.comment);
  return { silenceId: '', matchers: { globs }, fromUs, untilUs, comment, createdBy: by, createdAtUs: nowUs };
}

/** The number of a silence. Throws a `CallError` when it is none. */
export function checkSilenceId(silenceId: string): string {
  if (/^[1-9]\d{0,14}$/.test(silenceId)) return silenceId;
  const shown = JSON.stringify(silenceId.slice(0, 40));
  throw new CallError('invalid', `silence_id: ${shown}; the number of a silence is needed, as it is listed`);
}

function checkGlobs(globs: Readonly<Record<string, string>>): Record<string, string> {
  const names = Object.keys(globs).sort();
  if (names.length === 0) {
    throw new CallError('invalid', 'silence.matchers: empty, which would silence everything; name a label');
  }
  if (names.length > MATCHERS_MAX) {
    throw new CallError('invalid', `silence.matchers: ${names.length} labels; at most ${MATCHERS_MAX} are taken`);
  }
  return Object.fromEntries(
    names.map((name) => {
      if (name === '' || name.length > LABEL_LENGTH_MAX) {
        const shown = JSON.stringify(name.slice(0, 40));
        const remedy = `a label's name of 1 to ${LABEL_LENGTH_MAX} characters is needed`;
        throw new CallError('invalid', `silence.matchers: ${shown}; ${remedy}`);
      }
      return [name, checkPattern(`silence.matchers.${name}`, globs[name]!) ?? ''];
    }),
  );
}

function time(us: number): string {
  const ms = us / 1000;
  return us !== 0 && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(us);
}
