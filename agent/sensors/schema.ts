import { duration } from '@tributary/core/config/duration';
import { type FieldProblem, fieldCheck } from '@tributary/core/config/field-check';
import { filePath } from '@tributary/core/config/file-path';
import * as v from 'valibot';
import { SERIES_MAX_DEFAULT } from './formats/line-stage.js';
import { isFieldName } from './formats/strict-text.js';
import { LINE_BYTES_MAX_DEFAULT } from './framing/line-framer.js';
import { isNumeric, PRESET_NAMES } from './models/presets.js';
import { SERIES_NAME_BYTES_MAX, SERIES_UNIT_BYTES_MAX, utf8Bytes } from './series-limits.js';

/** A source's own name is a value of a metrics label. */
const sourceName = v.pipe(
  v.string('not a name; put it in quotes'),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'not a name; write up to 64 letters, digits and _ . -'),
  v.description('names the source in status, logs and metrics; unique'),
);

const seriesName = v.pipe(
  v.string('not a name; put it in quotes'),
  v.nonEmpty('an empty name; a series needs one, such as temperature'),
  v.check((text) => utf8Bytes(text) <= SERIES_NAME_BYTES_MAX, `too long; at most ${SERIES_NAME_BYTES_MAX} bytes`),
);

const unit = v.pipe(
  v.string('not a unit; put it in quotes'),
  v.check((text) => utf8Bytes(text) <= SERIES_UNIT_BYTES_MAX, `too long; at most ${SERIES_UNIT_BYTES_MAX} bytes`),
  v.description('UCUM code of the unit, such as Cel, % or hPa; empty by default'),
);

/** More labels than this describe a database row, not a sensor; each is sent with the catalogue and kept for ever. */
const LABELS_MAX = 16;

const labels = v.pipe(
  v.record(
    v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'not a label name; write letters, digits and _')),
    v.pipe(v.string('not text; put it in quotes'), v.maxLength(128, 'too long; at most 128 characters')),
  ),
  v.check((all) => Object.keys(all).length <= LABELS_MAX, `too many labels; at most ${LABELS_MAX}`),
  v.description('labels of the series, such as asset: pump-3'),
);

const fields = v.pipe(
  v.record(
    v.string(),
    v.strictObject({
      name: v.optional(v.pipe(seriesName, v.description('name of the series; the name of the field by default'))),
      unit: v.optional(unit),
      type: v.optional(
        v.pipe(
          v.picklist(['number', 'boolean', 'string'], 'not a type; write number, boolean or string'),
          v.description('fixes the type; by default the first value seen decides'),
        ),
      ),
    }),
  ),
  v.description('the fields that are taken, by their names in the data; all by default'),
);

const maxSeries = v.pipe(
  v.number('not a number; write a whole number'),
  v.integer('not a whole number'),
  v.minValue(1, 'too few; at least 1'),
  // What one batch can hold, so that a row always fits into one.
  v.maxValue(4096, 'too many; at most 4096'),
  v.description('the most series that this source may bring; lines with further fields are dropped'),
);

const serial = v.strictObject({
  type: v.literal('serial'),
  name: sourceName,
  labels: v.optional(labels, {}),
  path: v.pipe(
    v.string('not a path; write the path of a device'),
    v.startsWith('/', 'not the path of a device; write it in full, best one of those below /dev/serial/by-id'),
    v.description('the device, best below /dev/serial/by-id, where its name does not change'),
  ),
  baudRate: v.optional(
    v.pipe(
      v.number('not a number; write the baud rate without a unit'),
      v.integer('not a whole number'),
      v.minValue(50, 'too slow; at least 50'),
      v.maxValue(4_000_000, 'too fast; at most 4000000'),
      v.description('bits a second on the line'),
    ),
    115_200,
  ),
  dataBits: v.optional(
    v.pipe(
      v.picklist([5, 6, 7, 8], 'not a number of data bits; write 5, 6, 7 or 8'),
      v.description('bits a character'),
    ),
    8,
  ),
  parity: v.optional(
    v.pipe(
      v.picklist(['none', 'even', 'odd'], 'not a parity; write none, even or odd'),
      v.description('the check bit of a character'),
    ),
    'none',
  ),
  stopBits: v.optional(
    v.pipe(v.picklist([1, 2], 'not a number of stop bits; write 1 or 2'), v.description('stop bits a character')),
    1,
  ),
  format: v.pipe(
    v.picklist(['json', 'csv', 'key-value'], 'not a format; write json, csv or key-value'),
    v.description('how the device writes a line'),
  ),
  csv: v.optional(
    v.pipe(
      v.strictObject({
        separator: v.optional(
          v.pipe(
            v.picklist([',', ';', '\t', '|'], 'not a separator; write ",", ";", "|" or "\\t"'),
            v.description('what stands between cells'),
          ),
          ',',
        ),
        columns: v.optional(
          v.pipe(
            v.array(v.pipe(seriesName, v.check(isFieldName, 'not a name; write letters, digits and _ . : / -'))),
            v.minLength(1, 'no column; name at least one'),
            v.check((names) => new Set(names).size === names.length, 'a column twice; columns need different names'),
            v.description('names of the columns in order; where absent the device sends them as a header line'),
          ),
        ),
      }),
      v.description('for format csv alone'),
    ),
  ),
  fields: v.optional(fields),
  maxSeries: v.optional(maxSeries, SERIES_MAX_DEFAULT),
  maxLineBytes: v.optional(
    v.pipe(
      v.number('not a number; write a number of bytes'),
      v.integer('not a whole number'),
      v.minValue(16, 'too short; at least 16'),
      v.maxValue(65_536, 'too long; at most 65536'),
      v.description('longer lines are dropped, in bytes'),
    ),
    LINE_BYTES_MAX_DEFAULT,
  ),
  firstLine: v.optional(
    v.pipe(
      v.picklist(['drop', 'keep'], 'write drop or keep'),
      v.description('whether to drop what comes before the first line end after opening; it may be half a line'),
    ),
    'drop',
  ),
  expectWithin: v.optional(
    v.pipe(
      duration({ minMs: 100, maxMs: 86_400_000 }),
      v.description('a silence longer than this is reported; by default none is'),
    ),
  ),
});

const amount = v.pipe(v.number('not a number'), v.finite('not a finite number'));
const positive = v.pipe(amount, v.gtValue(0, 'must be greater than 0'));
const nonNegative = v.pipe(amount, v.minValue(0, 'must not be negative'));

const modelParameters = v.strictObject({
  base: v.optional(v.pipe(amount, v.description('the mean'))),
  dailyAmplitude: v.optional(v.pipe(nonNegative, v.description('half the difference between day and night'))),
  peakHour: v.optional(v.pipe(nonNegative, v.maxValue(24, 'at most 24'), v.description('hour of the highest value'))),
  drift: v.optional(v.pipe(nonNegative, v.description('how far it wanders over weeks'))),
  noise: v.optional(v.pipe(nonNegative, v.description('standard deviation of the noise'))),
  noiseCorrelation: v.optional(
    v.pipe(nonNegative, v.maxValue(0.999, 'at most 0.999'), v.description('of neighbouring noise steps')),
  ),
  noiseStepMs: v.optional(v.pipe(positive, v.description('length of a noise step, in milliseconds'))),
  resolution: v.optional(
    v.pipe(amount, v.minValue(1e-6, 'too fine; at least 0.000001'), v.description('values are multiples of it')),
  ),
  step: v.optional(v.pipe(nonNegative, v.description('standard deviation of the level between steps'))),
  stepEveryMinutes: v.optional(v.pipe(positive, v.description('how often it steps, in minutes'))),
  spike: v.optional(v.pipe(nonNegative, v.description('how far off a spike is'))),
  faultsPerDay: v.optional(
    v.pipe(nonNegative, v.maxValue(144, 'at most 144'), v.description('sensor faults a day, on average')),
  ),
  minimum: v.optional(v.pipe(amount, v.description('the lowest value that the sensor shows'))),
  maximum: v.optional(v.pipe(amount, v.description('the highest value that the sensor shows'))),
  cycleMinutes: v.optional(v.pipe(positive, v.description('door, machine-state: length of a cycle, in minutes'))),
  perSecond: v.optional(v.pipe(nonNegative, v.description('counter: counts a second, on average'))),
});

const simulator = v.strictObject({
  type: v.literal('simulator'),
  name: sourceName,
  labels: v.optional(labels, {}),
  interval: v.optional(v.pipe(duration({ minMs: 1, maxMs: 3_600_000 }), v.description('time between two rows')), '1s'),
  seed: v.optional(
    v.pipe(
      v.number('not a number; write a whole number'),
      v.integer('not a whole number'),
      v.minValue(0, 'must not be negative'),
      v.maxValue(2 ** 32 - 1, 'at most 4294967295'),
      v.description('the same seed gives the same values at the same times'),
    ),
    1,
  ),
  series: v.pipe(
    v.array(
      v.strictObject({
        name: v.pipe(seriesName, v.description('name of the series; unique in the source')),
        model: v.pipe(
          v.picklist(PRESET_NAMES, `not a sensor; write one of ${PRESET_NAMES.join(', ')}`),
          v.description('the sensor that is simulated'),
        ),
        unit: v.optional(unit),
        labels: v.optional(labels),
        parameters: v.optional(v.pipe(modelParameters, v.description('what differs from the ready-made sensor'))),
      }),
    ),
    v.minLength(1, 'no series; a simulator needs at least one'),
    v.maxLength(4096, 'too many series; at most 4096'),
    v.description('the sensors'),
  ),
});

const replay = v.strictObject({
  type: v.literal('replay'),
  name: sourceName,
  labels: v.optional(labels, {}),
  path: v.pipe(filePath(), v.description('a CSV table whose first column is time_us, time_ms, time_s or time')),
  fields: v.optional(fields),
  maxSeries: v.optional(maxSeries, SERIES_MAX_DEFAULT),
  paced: v.optional(
    v.pipe(v.boolean('write true or false'), v.description('at the times of the rows, or as fast as they are taken')),
    true,
  ),
  speed: v.optional(
    v.pipe(positive, v.maxValue(1e6, 'at most 1000000'), v.description('how many times faster than recorded')),
    1,
  ),
  mode: v.optional(
    v.pipe(v.picklist(['once', 'loop'], 'write once or loop'), v.description('what happens at the end of the table')),
    'once',
  ),
  rebase: v.optional(
    v.pipe(
      v.boolean('write true or false'),
      v.description('move the times to now, instead of keeping those of the file'),
    ),
    false,
  ),
});

function* serialProblems({ format, csv, maxSeries, fields }: v.InferOutput<typeof serial>): Iterable<FieldProblem> {
  if (csv !== undefined && format !== 'csv') {
    yield { path: ['csv'], message: `only for format csv, this is ${format}; remove it or change the format` };
  }
  const count = Object.keys(fields ?? {}).length;
  if (count > maxSeries) {
    yield { path: ['maxSeries'], message: `${count} fields are configured; write at least ${count}` };
  }
  for (const column of Object.keys(format === 'csv' && csv?.columns ? (fields ?? {}) : {})) {
    if (csv?.columns?.includes(column) === true) continue;
    yield { path: ['fields', column], message: `not a column; csv.columns has ${csv?.columns?.join(', ')}` };
  }
  yield* fieldProblems(fields);
}

function* simulatorProblems({ series }: v.InferOutput<typeof simulator>): Iterable<FieldProblem> {
  const names = new Set<string>();
  for (const [at, { name, model, parameters = {} }] of series.entries()) {
    if (names.has(name)) yield { path: ['series', at, 'name'], message: `${name} is here twice; give it another name` };
    names.add(name);
    for (const parameter of Object.keys(parameters)) {
      if (isParameterOf(model, parameter)) continue;
      const path = ['series', at, 'parameters', parameter];
      yield { path, message: `${model} has no such parameter; remove it` };
    }
    const { minimum, maximum } = parameters;
    if (minimum !== undefined && maximum !== undefined && minimum > maximum) {
      yield { path: ['series', at, 'parameters', 'minimum'], message: 'greater than the maximum; exchange them' };
    }
  }
}

function isParameterOf(model: (typeof PRESET_NAMES)[number], parameter: string): boolean {
  if (parameter === 'perSecond') return model === 'counter';
  if (parameter === 'cycleMinutes') return model === 'door' || model === 'machine-state';
  return isNumeric(model);
}

function* replayProblems({ paced, speed, rebase, fields }: v.InferOutput<typeof replay>): Iterable<FieldProblem> {
  if (!paced && rebase) {
    yield { path: ['rebase'], message: 'needs paced: true; unpaced rows would bear times of the future' };
  }
  if (!paced && speed !== 1) yield { path: ['speed'], message: 'has no meaning with paced: false; remove it' };
  yield* fieldProblems(fields);
}

/** Two fields with one name would be one series with two values at an instant. */
function* fieldProblems(configured: v.InferOutput<typeof fields> | undefined): Iterable<FieldProblem> {
  const names = new Set<string>();
  for (const [field, { name = field }] of Object.entries(configured ?? {})) {
    if (names.has(name)) yield { path: ['fields', field], message: `a second field named ${name}; name it otherwise` };
    names.add(name);
  }
}

/** A source of readings. */
const sourceSchema = v.variant('type', [
  v.pipe(serial, fieldCheck<v.InferOutput<typeof serial>>(serialProblems)),
  v.pipe(simulator, fieldCheck<v.InferOutput<typeof simulator>>(simulatorProblems)),
  v.pipe(replay, fieldCheck<v.InferOutput<typeof replay>>(replayProblems)),
]);

export type SourceConfig = v.InferOutput<typeof sourceSchema>;

/** An agent is one small device: sources beyond this are a fleet. */
const SOURCES_MAX = 64;

/** The `sources` of an agent's configuration. */
export const sourcesSchema = v.pipe(
  v.array(sourceSchema),
  v.maxLength(SOURCES_MAX, `too many sources; at most ${SOURCES_MAX}`),
  fieldCheck<SourceConfig[]>(sourcesProblems),
  v.description('where readings come from'),
);

function* sourcesProblems(sources: SourceConfig[]): Iterable<FieldProblem> {
  const names = new Set<string>();
  const devices = new Set<string>();
  for (const [at, source] of sources.entries()) {
    if (names.has(source.name)) {
      yield { path: [at, 'name'], message: `a second source named ${source.name}; give it another name` };
    }
    names.add(source.name);
    if (source.type !== 'serial') continue;
    if (devices.has(source.path)) {
      yield { path: [at, 'path'], message: `${source.path} has a source already; a device can be read once` };
    }
    devices.add(source.path);
  }
}
