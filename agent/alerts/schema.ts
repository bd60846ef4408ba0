import { isAbsolute } from 'node:path';
import { duration } from '@tributary/core/config/duration';
import { type FieldProblem, fieldCheck } from '@tributary/core/config/field-check';
import { filePath } from '@tributary/core/config/file-path';
import { nearest } from '@tributary/core/config/nearest';
import { logLevels } from '@tributary/core/log/logger';
import * as v from 'valibot';
import type { SourceConfig } from '../sensors/schema.js';
import { compileActionTemplate } from './action-template.js';

/** What waits for each of them lies in the buffer: 32 intents of 2 KiB, a mebibyte in all. */
const ACTIONS_MAX = 16;

const globMax = 256;

const glob = (what: string, example: string) =>
  v.pipe(
    v.string(`not ${what}; write text, such as ${example}`),
    v.nonEmpty(`empty; write ${what}, such as ${example}, or leave the field out`),
    v.maxLength(globMax, `too long; at most ${globMax} characters`),
  );

const template = (max: number) =>
  v.pipe(
    v.string('not text; put it in quotes'),
    v.maxLength(max, `too long; at most ${max} characters`),
    v.check((text) => !text.includes('\0'), 'a NUL character; nothing can be given it'),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const compiled = compileActionTemplate(dataset.value);
      if (!compiled.ok) addIssue({ message: compiled.problem });
    }),
  );

const match = v.strictObject({
  rule: v.optional(
    v.pipe(glob('a rule', 'too-*'), v.description('name of the rule; * and ? stand for any characters')),
  ),
  severity: v.optional(v.pipe(glob('a severity', 'critical'), v.description("the rule's severity; * and ? as above"))),
  series: v.optional(
    v.pipe(
      glob('a series', 'temperature*'),
      v.description('name of the series; an alert about the device has none, which only * matches'),
    ),
  ),
  labels: v.optional(
    v.pipe(
      v.record(v.string(), glob('a value', 'cellar*')),
      v.check((all) => Object.keys(all).length <= 16, 'too many labels; at most 16'),
      v.description("labels of the rule and of the series that the alert must have; the rule's come first"),
    ),
    {},
  ),
  states: v.optional(
    v.pipe(
      v.array(v.picklist(['firing', 'resolved', 'retracted'], 'not a state; write firing, resolved or retracted')),
      v.minLength(1, 'no state; write [firing], [resolved] or [firing, resolved]'),
      v.description(
        'the transitions that are meant, firing and resolved by default; retracted: what was told to fire is found never to have been, which moves nothing unless it stands here',
      ),
    ),
  ),
});

const log = v.strictObject({
  level: v.pipe(
    v.picklist(logLevels, `not a level; write one of ${logLevels.join(', ')}`),
    v.description(
      'at which level what matches is logged, silent for not at all; the first action that matches decides',
    ),
  ),
});

const run = v.strictObject({
  command: v.pipe(
    v.array(template(1024)),
    v.minLength(1, 'no command; write its path and its arguments, such as [/usr/local/bin/siren, "{{state}}"]'),
    v.maxLength(64, 'too many arguments; at most 63'),
    v.description(
      'path of a program and its arguments, which no shell sees; {{value}}, {{unit}}, {{rule}}, {{severity}}, {{state}}, {{device}}, {{series}}, {{incident}} and {{labels.NAME}} stand for those of the alert in the arguments',
    ),
  ),
  timeout: v.optional(
    v.pipe(
      // What takes longer than ten minutes is a service, and whoever wants one starts it.
      duration({ minMs: 100, maxMs: 600_000 }),
      v.description('it is ended after this, by SIGTERM and two seconds later by SIGKILL, with whatever it started'),
    ),
    '10s',
  ),
  workingDirectory: v.optional(v.pipe(filePath(), v.description('folder that it runs in')), '/'),
  maxConcurrent: v.optional(
    v.pipe(
      v.number('not a number; write a whole number'),
      v.integer('not a whole number'),
      v.minValue(1, 'too few; at least 1'),
      v.maxValue(4, 'too many; at most 4, this is a small device'),
      v.description('so many at a time, but never two about one incident; they begin in the order of the alerts'),
    ),
    1,
  ),
});

const endsOfLine = { lf: '\n', crlf: '\r\n', cr: '\r', none: '' } as const;

const write = v.strictObject({
  source: v.pipe(v.string('not a name; write that of a serial source'), v.description('name of a serial source')),
  line: v.pipe(
    template(512),
    v.description('what is written, with {{...}} as in a command; a result with control characters is refused'),
  ),
  endOfLine: v.optional(
    v.pipe(
      v.picklist(
        Object.keys(endsOfLine) as (keyof typeof endsOfLine)[],
        `write one of ${Object.keys(endsOfLine).join(', ')}`,
      ),
      v.transform((name) => endsOfLine[name]),
      v.description('what ends the line'),
    ),
    'lf',
  ),
  timeout: v.optional(
    v.pipe(
      duration({ minMs: 50, maxMs: 60_000 }),
      v.description(
        'how long the port may take it; then it is closed and opened anew, so that nothing is written later',
      ),
    ),
    '2s',
  ),
});

const statusText = (example: string) =>
  v.pipe(v.string(`not text; put it in quotes, such as "${example}"`), v.maxLength(128, 'at most 128 characters'));

const name = v.pipe(
  v.string('not a name; put it in quotes'),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'not a name; write up to 64 letters, digits and _ . -'),
);

const status = v.strictObject({
  name: v.pipe(name, v.description('the status, shown by "tributary-agent status" and in the metrics; unique')),
  firing: v.pipe(statusText('too warm'), v.description('its value while an incident that matches goes on')),
  resolved: v.optional(v.pipe(statusText('ok'), v.description('its value otherwise')), 'ok'),
});

const actionFields = v.strictObject({
  name: v.pipe(name, v.description('names the action in logs and metrics, and in the buffer over restarts; unique')),
  match: v.optional(v.pipe(match, v.description('the alerts that it is about; all by default')), {}),
  log: v.optional(v.pipe(log, v.description('how they are logged; all alerts are, also without this'))),
  run: v.optional(v.pipe(run, v.description('runs a program'))),
  write: v.optional(v.pipe(write, v.description('writes a line to the device behind a serial source'))),
  status: v.optional(v.pipe(status, v.description('sets a status'))),
  onCrash: v.optional(
    v.pipe(
      v.picklist(['skip', 'repeat'], 'write skip or repeat'),
      v.description(
        'run and write: what becomes of an action of which nobody can say after a crash whether it was begun; skip by default',
      ),
    ),
  ),
  maxActionAge: v.optional(
    v.pipe(
      // A week is what a person is away for; below a second nothing comes from a collector.
      duration({ minMs: 1000, maxMs: 604_800_000 }),
      v.description(
        'run and write: nothing is done about a transition that is older than this, 1s to 7d; 5m by default',
      ),
    ),
  ),
  rateLimit: v.optional(
    v.pipe(
      v.strictObject({
        count: v.pipe(
          v.number('not a number; write a whole number'),
          v.integer('not a whole number'),
          v.minValue(1, 'too few; at least 1'),
          v.maxValue(1000, 'too many; at most 1000'),
          v.description('so many at once, and in the time below on average'),
        ),
        per: v.pipe(duration({ minMs: 1000, maxMs: 86_400_000 }), v.description('1s to 24h')),
      }),
      v.description('run and write: what comes faster waits for its turn; {count: 30, per: 1m} by default'),
    ),
  ),
});

type ActionFields = v.InferOutput<typeof actionFields>;

const kinds = ['log', 'run', 'write', 'status'] as const;

function* actionProblems(action: ActionFields): Iterable<FieldProblem> {
  const given = kinds.filter((kind) => action[kind] !== undefined);
  const [kind, second] = given;
  if (kind === undefined) yield { path: ['name'], message: 'it does nothing; add one of run, write, status or log' };
  if (second !== undefined) {
    yield { path: [second], message: `a second thing to do, beside ${kind}; make it an action of its own` };
  }
  if (kind === 'log' || kind === 'status') {
    for (const field of ['onCrash', 'maxActionAge', 'rateLimit'] as const) {
      if (action[field] !== undefined) yield { path: [field], message: `has no meaning with ${kind}; remove it` };
    }
  }
  if (kind === 'status' && action.match.states !== undefined) {
    yield { path: ['match', 'states'], message: 'a status follows all states; remove it' };
  }
  const path = action.run?.command[0];
  if (path === undefined) return;
  const at = ['run', 'command', 0];
  if (!isAbsolute(path))
    yield { path: at, message: `${path} is not an absolute path; write it in full, such as /bin/sh` };
  if (path.includes('{{')) yield { path: at, message: 'a template; which program is run must be fixed' };
}

/** The `alerts` of an agent's configuration. */
export const alertActionsSchema = v.pipe(
  v.array(v.pipe(actionFields, fieldCheck<ActionFields>(actionProblems))),
  v.maxLength(ACTIONS_MAX, `too many actions; at most ${ACTIONS_MAX}`),
  fieldCheck<ActionFields[]>(namesProblems),
  v.description('what the device does about its alerts beside logging them'),
);

export type AlertActionConfig = ActionFields;

function* namesProblems(actions: readonly ActionFields[]): Iterable<FieldProblem> {
  const names = new Set<string>();
  const statuses = new Set<string>();
  for (const [at, action] of actions.entries()) {
    if (names.has(action.name)) {
      yield { path: [at, 'name'], message: `a second action named ${action.name}; give it another name` };
    }
    names.add(action.name);
    const shown = action.status?.name;
    if (shown === undefined) continue;
    if (statuses.has(shown)) {
      const message = `${shown} is set by another action already; give it another name, or that action another matcher`;
      yield { path: [at, 'status', 'name'], message };
    }
    statuses.add(shown);
  }
}

/** A line can only be written to a serial source that there is. */
export function* writeProblems(
  actions: readonly AlertActionConfig[],
  sources: readonly SourceConfig[],
): Iterable<FieldProblem> {
  for (const [at, { write: to }] of actions.entries()) {
    if (to === undefined) continue;
    const path = ['alerts', at, 'write', 'source'];
    const found = sources.find(({ name: source }) => source === to.source);
    const serial = sources.flatMap(({ name: source, type }) => (type === 'serial' ? [source] : []));
    const remedy = serial.length === 0 ? 'there is no serial source; add one' : `write one of ${serial.join(', ')}`;
    if (found === undefined) {
      const near = nearest(to.source, serial);
      yield { path, message: `no source is named ${to.source}; ${near === undefined ? remedy : `is ${near} meant?`}` };
    } else if (found.type !== 'serial') {
      yield { path, message: `${to.source} is a ${found.type} source, which nothing can be written to; ${remedy}` };
    }
  }
}
