import { duration } from '@tributary/core/config/duration';
import { filePath } from '@tributary/core/config/file-path';
import * as v from 'valibot';
import { parseInstantUs } from '../../query/instant-format.js';
import { parseNotation } from './series-notation.js';

const DAY_MS = 86_400_000;
/** A trial goes through every heartbeat of its devices, one each half minute: 90,000 of each in a month. */
const TRIAL_MS_MAX = 31 * DAY_MS;
/** Trials run in one process one after another; a file of more is generated and can be cut. */
const TRIALS_MAX = 1000;
/** As a collector takes of one device by default. */
const SERIES_MAX = 1000;

/** The device of series that name none. */
export const DEFAULT_DEVICE = 'device';

const offset = () => duration({ maxMs: TRIAL_MS_MAX });
const text = v.string('not text; put it in quotes');
const texts = v.record(v.string(), text);
const name = v.pipe(text, v.nonEmpty('empty; write a name'));
const device = v.pipe(name, v.description('the device, as DEVICE or TENANT/DEVICE; device when absent'));

const values = v.pipe(
  v.string('not text; put the readings in quotes, such as "20 21x3 _ 22"'),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const result = parseNotation(dataset.value);
    if (result.ok) return result.notation;
    addIssue({ message: `at character ${result.at + 1}: ${result.problem}` });
    return NEVER;
  }),
);

const instant = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const us = /^\d/.test(dataset.value) && dataset.value.includes('-') ? parseInstantUs(dataset.value, 0) : undefined;
    if (us !== undefined) return us;
    addIssue({ message: 'not a time; write one such as 2026-01-05T00:00:00Z' });
    return NEVER;
  }),
);

const seriesSchema = v.strictObject({
  device: v.optional(device, DEFAULT_DEVICE),
  name: v.pipe(name, v.description('name of the series')),
  unit: v.optional(v.pipe(text, v.description('its unit')), ''),
  labels: v.optional(v.pipe(texts, v.description('its labels')), {}),
  values: v.pipe(values, v.description('its readings, an interval apart: 20 21x3 _ NaN 20+0.5x10 "open" lost @5m 22')),
});

const offlineSchema = v.strictObject({
  from: v.pipe(offset(), v.description('readings from here on are kept on the device')),
  until: v.pipe(offset(), v.description('the device has its link back; this instant is not included')),
  backfillAt: v.optional(
    v.pipe(offset(), v.description('when what was kept has arrived; at until when absent, after what is live')),
  ),
});

const deviceSchema = v.strictObject({
  attributes: v.optional(v.pipe(texts, v.description('attributes, such as its site')), {}),
  offline: v.optional(v.pipe(v.array(offlineSchema), v.description('when it has no link to the collector')), []),
});

const value = v.pipe(v.number('not a number; write the value that made the transition'), v.description('its value'));

const about = {
  rule: v.pipe(name, v.description('name of the rule')),
  device: v.optional(v.pipe(name, v.description('the device; not compared when absent'))),
  series: v.optional(v.pipe(text, v.description('name of the series; not compared when absent'))),
  severity: v.optional(v.pipe(text, v.description('not compared when absent'))),
  value: v.optional(value),
  startedAt: v.optional(v.pipe(offset(), v.description('event time of the onset; not compared when absent'))),
  labels: v.optional(v.pipe(texts, v.description('all labels of the alert; not compared when absent'))),
  annotations: v.optional(v.pipe(texts, v.description('all its annotations; not compared when absent'))),
  late: v.optional(
    v.pipe(v.boolean(), v.description('whether it is history that nobody was notified of; false when absent')),
    false,
  ),
};

const expectationSchema = v.strictObject({
  at: v.pipe(offset(), v.description('when to look, after everything that has arrived by then')),
  firing: v.pipe(
    v.array(v.strictObject(about)),
    v.description('all alerts that fire then, as the collector knows them; an empty list for none'),
  ),
});

export const TRANSITION_KINDS = ['firing', 'resolved', 'retracted'] as const;

const transitionSchema = v.strictObject({
  at: v.pipe(offset(), v.description('event time of the transition')),
  to: v.pipe(v.picklist(TRANSITION_KINDS), v.description('what the incident became')),
  ...about,
  recordedAt: v.optional(
    v.pipe(offset(), v.description("the collector's clock when it recorded it; not compared when absent")),
  ),
});

export const trialSchema = v.strictObject({
  name: v.pipe(name, v.description('what the trial shows, as a sentence')),
  interval: v.optional(v.pipe(duration({ minMs: 1, maxMs: DAY_MS }), v.description("instead of the file's"))),
  start: v.optional(
    v.pipe(instant, v.description('event time of the beginning, on a Monday when absent')),
    '2026-01-05T00:00:00Z',
  ),
  devices: v.optional(
    v.pipe(v.record(v.string(), deviceSchema), v.description('what is to be said of devices, by their names')),
    {},
  ),
  series: v.pipe(
    v.array(seriesSchema),
    v.maxLength(SERIES_MAX, `too many series; at most ${SERIES_MAX} are taken`),
    v.description('what the devices read'),
  ),
  expect: v.optional(v.pipe(v.array(expectationSchema), v.description('what fires at some moments')), []),
  transitions: v.optional(
    v.pipe(v.array(transitionSchema), v.description('all transitions up to the end, in any order; none if empty')),
  ),
});

const ruleFiles = v.union(
  [filePath(), v.pipe(v.array(filePath()), v.nonEmpty('no file; name a file of rules'))],
  'not a path; write the path of a file of rules, or a list of them',
);

/** A file of trials as it is written; `loadTrials` checks what lies between its fields. */
export const trialFileSchema = v.strictObject({
  rules: v.pipe(ruleFiles, v.description('files of rules, relative to this file')),
  interval: v.optional(
    v.pipe(duration({ minMs: 1, maxMs: DAY_MS }), v.description('time from one reading to the next')),
    '1m',
  ),
  tests: v.pipe(
    v.array(trialSchema),
    v.nonEmpty('no tests; write one'),
    v.maxLength(TRIALS_MAX, `too many tests; at most ${TRIALS_MAX} are taken`),
    v.description('trials, each with a collector of its own'),
  ),
});

export type TrialInput = v.InferOutput<typeof trialSchema>;
export type ExpectedAlert = TrialInput['expect'][number]['firing'][number];
export type ExpectedTransition = NonNullable<TrialInput['transitions']>[number];
export type TrialFileInput = v.InferOutput<typeof trialFileSchema>;
