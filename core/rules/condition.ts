import * as v from 'valibot';
import { duration } from '../config/duration.js';
import { WINDOW_FUNCTIONS } from './panes.js';

/** Longer waits than this belong to a report, not to an alert. */
export const DURATION_MAX_MS = 30 * 86_400_000;
/** What looks back less than this looks at a reading or two. */
const OVER_MIN_MS = 1000;
/** Means over more than this hardly move. */
const MEMORY_MAX_MS = 365 * 86_400_000;

const limit = v.pipe(
  v.number('not a number; write a threshold such as 80 or -3.5'),
  v.finite('not a finite number; no reading lies beyond it'),
);
const band = v.pipe(v.array(limit), v.length(2, 'not two numbers; write [low, high]'));

const over = v.pipe(
  duration({ minMs: OVER_MIN_MS, maxMs: DURATION_MAX_MS }),
  v.description('how far it looks back, such as 10m'),
);

const rate = v.strictObject({
  over,
  per: v.optional(
    v.pipe(duration({ minMs: 1, maxMs: DURATION_MAX_MS }), v.description('the time that the change is told for')),
    '1s',
  ),
});

const delta = v.strictObject({ over });

const window = v.strictObject({
  function: v.pipe(v.picklist(WINDOW_FUNCTIONS), v.description('what is made of the readings of the window')),
  over,
  every: v.optional(
    v.pipe(
      duration({ minMs: 100, maxMs: DURATION_MAX_MS }),
      v.description('how often the window is judged; it divides over, a tenth of it when absent'),
    ),
  ),
  quantile: v.optional(
    v.pipe(
      v.number('not a number; write a share from 0 to 1, such as 0.95'),
      v.minValue(0, 'less than 0; write a share from 0 to 1, such as 0.95'),
      v.maxValue(1, 'more than 1; write a share from 0 to 1, such as 0.95'),
      v.description('of quantile: the share of readings that it is not less than'),
    ),
  ),
});

const absentFor = v.pipe(
  duration({ minMs: OVER_MIN_MS, maxMs: DURATION_MAX_MS }),
  v.description('how long nothing comes before it is satisfied'),
);

const absent = v.union(
  [
    absentFor,
    v.strictObject({
      for: absentFor,
      of: v.optional(
        v.pipe(v.picklist(['series', 'device']), v.description('a reading of the series, or any sign of the device')),
        'series',
      ),
    }),
  ],
  'not a duration; write one such as 10m, or {for: 10m, of: device}',
);

const positive = (remedy: string) =>
  v.pipe(
    v.number(`not a number; ${remedy}`),
    v.finite(`not a finite number; ${remedy}`),
    v.gtValue(0, `not more than 0; ${remedy}`),
  );

const memory = duration({ minMs: 60_000, maxMs: MEMORY_MAX_MS });

const deviation = v.strictObject({
  sensitivity: v.optional(
    v.pipe(
      positive('write how many deviations are too far, such as 4'),
      v.description('how many usual deviations from the mean satisfy the rule'),
    ),
    4,
  ),
  direction: v.optional(
    v.pipe(v.picklist(['both', 'above', 'below']), v.description('on which side of the mean')),
    'both',
  ),
  memory: v.optional(v.pipe(memory, v.description('time constant of mean and deviation; a day, or seven seasons'))),
  season: v.optional(
    v.pipe(
      duration({ minMs: 60_000, maxMs: DURATION_MAX_MS }),
      v.description('after which readings repeat, such as 1d or 7d: each part of it has a mean of its own'),
    ),
  ),
  warm_up: v.optional(v.pipe(memory, v.description('how long it learns before it says anything; twice its memory'))),
  least: v.optional(
    v.pipe(positive('write the least deviation that means anything'), v.description('no deviation is taken as less')),
  ),
  relearn_after: v.optional(
    v.pipe(memory, v.description('what has lasted this long while firing is the new normal; seven times its memory')),
  ),
});

/** The fields that say what is asked of readings: one way to derive a value, and one comparison. */
export const conditionFields = {
  above: v.optional(v.pipe(limit, v.description('a value greater than this satisfies the rule'))),
  below: v.optional(v.pipe(limit, v.description('a value less than this satisfies the rule'))),
  outside: v.optional(v.pipe(band, v.description('[low, high]: a value less or greater satisfies the rule'))),
  equals: v.optional(
    v.pipe(
      v.union(
        [v.pipe(v.number(), v.finite('not a finite number; no reading equals it')), v.boolean(), v.string()],
        'no value; write a number, true, false or a text',
      ),
      v.description('a value equal to this satisfies the rule: a number, true or false, or a text'),
    ),
  ),
  clear: v.optional(
    v.pipe(
      v.union([limit, band], 'no limit; write a number, or [low, high] with outside'),
      v.description('once firing, the alert stays until a value reaches this; the threshold when absent'),
    ),
  ),
  rate: v.optional(v.pipe(rate, v.description('compares the rate of change'))),
  delta: v.optional(v.pipe(delta, v.description('compares the difference from what was'))),
  window: v.optional(v.pipe(window, v.description('compares an aggregate over a time'))),
  absent: v.optional(v.pipe(absent, v.description('satisfied when nothing comes for a time'))),
  deviation: v.optional(v.pipe(deviation, v.description('satisfied when a value is unusual'))),
};

const conditionSchema = v.strictObject(conditionFields);

/** One condition over one series; durations are in milliseconds. */
export type Condition = v.InferOutput<typeof conditionSchema>;
