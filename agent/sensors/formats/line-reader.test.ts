import { describe, expect, it } from 'vitest';
import { RecordingSink } from '../recording-sink.js';
import { type LineFormatConfig, LineReader } from './line-reader.js';
import { type FieldConfig, LineStage } from './line-stage.js';

const json: LineFormatConfig = { type: 'json' };
const csv: LineFormatConfig = { type: 'csv', separator: ',', columns: ['t', 'h', 'door'] };
const keyValue: LineFormatConfig = { type: 'key-value' };

function reader(config: LineFormatConfig, fields?: Record<string, FieldConfig>, seriesMax = 256) {
  const sink = new RecordingSink();
  const read = new LineReader(config, new LineStage({ sink, labels: { room: 'a' }, fields, seriesMax }));
  let timeUs = 0;
  return {
    sink,
    read(line: string | Uint8Array) {
      timeUs += 1;
      return read.read(typeof line === 'string' ? Buffer.from(line, 'utf8') : line, timeUs);
    },
  };
}

describe('a JSON line', () => {
  it('becomes one row of numbers, booleans and states', () => {
    const { sink, read } = reader(json);
    expect(
      read(' { "temperature": 21.5, "door" : true,"state":"open", "in": {"a": {"b": {"c": -0}}} } '),
    ).toBeUndefined();
    expect(sink.rows).toEqual([
      { timeUs: 1, values: { temperature: 21.5, door: true, state: 'open', 'in.a.b.c': -0 } },
    ]);
    expect(sink.series[0]).toEqual({ name: 'temperature', unit: '', labels: { room: 'a' }, type: 'double' });
  });

  it('takes escapes in names and states', () => {
    const { sink, read } = reader(json);
    expect(read('{"st\\u0061te":"l\\u00e4uft \\"x\\""}')).toBeUndefined();
    expect(sink.rows[0].values).toEqual({ state: 'läuft "x"' });
  });

  it.each([
    ['{"t": NaN}', 'not_a_number'],
    ['{"t": -Infinity}', 'not_a_number'],
    ['{"t": nan}', 'not_a_number'],
    ['{"t": "NaN"}', 'not_a_number'],
    ['{"t": null}', 'null_value'],
    ['{"t": ""}', 'empty_value'],
    ['{"t": 0x1F}', 'bad_number'],
    ['{"t": 1.2.3}', 'bad_number'],
    ['{"t": 021}', 'bad_number'],
    ['{"t": .5}', 'bad_number'],
    ['{"t": +5}', 'bad_number'],
    ['{"t": 1,5}', 'malformed'],
    ['{"t": 1e999}', 'number_range'],
    ['{"t": "21.5"}', 'number_as_string'],
    ['{"t": "1,5"}', 'number_as_string'],
    ['{"t": [1]}', 'array'],
    ['[1]', 'array'],
    ['{"a":{"b":{"c":{"d":{"e":1}}}}}', 'nested_too_deep'],
    ['{"t": 1, "t": 2}', 'duplicate_field'],
    ['{"a.b": 1, "a": {"b": 2}}', 'duplicate_field'],
    ['{"t": 1', 'malformed'],
    ['{"t": 1}{"t": 2}', 'malformed'],
    ['{"t": 1,}', 'malformed'],
    ['{"t"}', 'malformed'],
    ['{"t": "a\\x"}', 'malformed'],
    ['{"t": "abc', 'malformed'],
    ['{"t": "abc\\', 'malformed'],
    ['{"t": truee}', 'malformed'],
    ['{"t": }', 'malformed'],
    ['{"": 1}', 'bad_name'],
    [`{"${'n'.repeat(129)}": 1}`, 'bad_name'],
    [`{"s": "${'s'.repeat(257)}"}`, 'string_too_long'],
    ['{"s": "a\\u0000"}', 'control_character'],
    ['{"s": "\\ud800"}', 'not_utf8'],
    ['{"s\\u0007": 1}', 'control_character'],
    ['{}', 'no_values'],
    ['noise', 'malformed'],
    ['21.5', 'malformed'],
    ['{"t": 1}\u0007', 'control_character'],
  ])('%s is dropped: %s', (line, reason) => {
    const { sink, read } = reader(json);
    expect(read(line)).toBe(reason);
    expect(sink.rows).toEqual([]);
    expect(sink.series).toEqual([]);
  });
});

describe('a CSV line', () => {
  it('becomes a row of the configured columns', () => {
    const { sink, read } = reader(csv);
    expect(read('21.5, 40 ,true')).toBeUndefined();
    expect(read('-.5,5.,false')).toBeUndefined();
    expect(read('1e3,+007,true')).toBeUndefined();
    expect(sink.rows.map((row) => row.values)).toEqual([
      { t: 21.5, h: 40, door: true },
      { t: -0.5, h: 5, door: false },
      { t: 1000, h: 7, door: true },
    ]);
  });

  it.each([
    ['21.5,40', 'column_count'],
    ['21,5,40,true', 'column_count'],
    ['21.5,,true', 'empty_value'],
    ['nan,40,true', 'not_a_number'],
    ['-nan(0x1),40,true', 'not_a_number'],
    ['inf,40,true', 'not_a_number'],
    ['0x1F,40,true', 'bad_number'],
    ['21.5C,40,true', 'bad_number'],
    ['-,40,true', 'bad_number'],
    ['--,40,true', 'bad_number'],
    ['"21.5",40,true', 'bad_value'],
    ['1e999,40,true', 'number_range'],
    ['', 'column_count'],
  ])('%s is dropped: %s', (line, reason) => {
    const { sink, read } = reader(csv);
    expect(read(line)).toBe(reason);
    expect(sink.rows).toEqual([]);
  });

  it('takes the columns from a header line whenever the device sends one', () => {
    const { sink, read } = reader({ type: 'csv', separator: ';' });
    expect(read('21.5;40')).toBe('no_header');
    expect(read('t; h')).toBeUndefined();
    expect(read('21.5;40')).toBeUndefined();
    expect(read('1,5;40')).toBe('bad_number');
    expect(read('t;h')).toBeUndefined();
    expect(read('h;t')).toBeUndefined();
    expect(read('41;22')).toBeUndefined();
    expect(read('a;a')).toBe('duplicate_field');
    expect(sink.rows.map((row) => row.values)).toEqual([
      { t: 21.5, h: 40 },
      { t: 22, h: 41 },
    ]);
  });
});

describe('a key=value line', () => {
  it.each(['t=21.5 h=40 door=true', 't=21.5,h=40,door=true', ' t=21.5;\th=40 ; door=true;'])(
    '%s becomes a row',
    (line) => {
      const { sink, read } = reader(keyValue);
      expect(read(line)).toBeUndefined();
      expect(sink.rows[0].values).toEqual({ t: 21.5, h: 40, door: true });
    },
  );

  it.each([
    ['t=1,5', 'malformed'],
    ['t = 1', 'malformed'],
    ['t=1 h', 'malformed'],
    ['t=1=2', 'malformed'],
    ['=1', 'malformed'],
    ['t=', 'empty_value'],
    ['t=0x10', 'bad_number'],
    ['t=21.5C', 'bad_number'],
    ['t=1 t=1', 'duplicate_field'],
    ['1t=1', 'bad_name'],
    ['   ', 'no_values'],
    ['t=1\u0000', 'control_character'],
  ])('%s is dropped: %s', (line, reason) => {
    const { sink, read } = reader(keyValue);
    expect(read(line)).toBe(reason);
    expect(sink.rows).toEqual([]);
  });
});

describe('the fields of a source', () => {
  it('are selected, renamed and given units; the others are not checked', () => {
    const { sink, read } = reader(json, { temp: { name: 'temperature', unit: 'Cel' } });
    expect(read('{"id": "0042", "temp": 21.5, "void": null}')).toBeUndefined();
    expect(sink.rows[0].values).toEqual({ temperature: 21.5 });
    expect(sink.series).toEqual([{ name: 'temperature', unit: 'Cel', labels: { room: 'a' }, type: 'double' }]);
    expect(read('{"id": "0042"}')).toBe('no_values');
  });

  it('keep their type for life', () => {
    const { sink, read } = reader(keyValue);
    expect(read('t=21.5')).toBeUndefined();
    expect(read('t=error')).toBe('type_changed');
    expect(read('t=true')).toBe('type_changed');
    expect(read('t=22')).toBeUndefined();
    expect(sink.rows.length).toBe(2);
  });

  it('have the configured type from the first value on', () => {
    const { sink, read } = reader(keyValue, {
      door: { type: 'boolean' },
      code: { type: 'string' },
      t: { type: 'double' },
    });
    expect(read('door=1 code=007')).toBeUndefined();
    expect(read('door=2')).toBe('type_changed');
    expect(read('t=open')).toBe('type_changed');
    expect(sink.rows.map((row) => row.values)).toEqual([{ door: true, code: '007' }]);
  });

  it('leave nothing behind when their line is dropped', () => {
    const { sink, read } = reader(keyValue);
    expect(read('t=open x=0x1')).toBe('bad_number');
    expect(read('t=21.5')).toBeUndefined();
    expect(sink.series.map((series) => series.name)).toEqual(['t']);
  });

  it('are limited in number, however many names a device invents', () => {
    const { sink, read } = reader(keyValue, undefined, 2);
    expect(read('a=1 b=2')).toBeUndefined();
    expect(read('c=1')).toBe('series_limit');
    expect(read('a=1 b=2 c=3')).toBe('series_limit');
    expect(read('a=3')).toBeUndefined();
    expect(sink.series.length).toBe(2);
  });

  it('are never read from bytes that are not UTF-8', () => {
    const { read } = reader(keyValue);
    expect(read(Uint8Array.of(0x74, 0x3d, 0xff))).toBe('not_utf8');
    expect(read(Uint8Array.of(0x74, 0x3d, 0xc0, 0x80))).toBe('not_utf8');
  });
});
