import { describe, expect, it } from 'vitest';
import { LineStage } from '../formats/line-stage.js';
import { RecordingSink } from '../recording-sink.js';
import { TableReader } from './table-reader.js';
import { parseTimeUs, type TimeColumn } from './table-time.js';

describe('parseTimeUs', () => {
  it.each<[string, TimeColumn, number]>([
    ['1656414000000000', 'time_us', 1_656_414_000_000_000],
    ['-5', 'time_us', -5],
    ['10.5', 'time_ms', 10_500],
    ['1656414000.123456', 'time_s', 1_656_414_000_123_456],
    ['0.1', 'time_s', 100_000],
    ['-0.5', 'time_s', -500_000],
    ['1.5000000', 'time_s', 1_500_000],
    ['2024-02-29T12:00:00Z', 'time', 1_709_208_000_000_000],
    ['2024-02-29 12:00:00', 'time', 1_709_208_000_000_000],
    ['2024-02-29T13:00:00.000001+01:00', 'time', 1_709_208_000_000_001],
    ['1969-12-31T23:59:59.75Z', 'time', -250_000],
  ])('%s as %s is %i', (text, column, timeUs) => {
    expect(parseTimeUs(text, column)).toBe(timeUs);
  });

  it.each<[string, TimeColumn]>([
    ['', 'time_us'],
    ['1.5', 'time_us'],
    ['1e3', 'time_us'],
    ['9007199254740993', 'time_us'],
    ['1.1234567', 'time_s'],
    ['NaN', 'time_s'],
    ['2024-02-30T25:00:00Z', 'time'],
    ['2024-02-29', 'time'],
    ['12:00', 'time'],
  ])('%s as %s is no time', (text, column) => {
    expect(parseTimeUs(text, column)).toBeUndefined();
  });
});

describe('TableReader', () => {
  function reader() {
    const sink = new RecordingSink();
    const stage = new LineStage({ sink, labels: {}, fields: undefined, seriesMax: 256 });
    const table = new TableReader(stage);
    return (line: string) => {
      const outcome = table.parse(Buffer.from(line));
      if (outcome !== 'row') return outcome;
      stage.commit(table.timeUs);
      return sink.rows.at(-1);
    };
  }

  it('reads rows with missing values', () => {
    const read = reader();
    expect(read('\ufefftime_us, a ,b')).toBe('header');
    expect(read('5,1.5,2')).toEqual({ timeUs: 5, values: { a: 1.5, b: 2 } });
    expect(read('6,,2')).toEqual({ timeUs: 6, values: { b: 2 } });
    expect(read('7,1,')).toEqual({ timeUs: 7, values: { a: 1 } });
    expect(read('8,,')).toBe('blank');
  });

  it.each([
    ['5,1', 'column_count'],
    ['5', 'column_count'],
    ['5,1,2,', 'column_count'],
    ['5,1,2,3', 'column_count'],
    ['x,1,2', 'bad_time'],
    ['5,1,nan', 'not_a_number'],
    ['5,1,0x2', 'bad_number'],
  ])('drops %s: %s', (line, reason) => {
    const read = reader();
    read('time_us,a,b');
    expect(read(line)).toBe(reason);
  });

  it.each(['a,b', 'time_us', 'time_us,a,a', 'time_us,a,', 'stamp,a'])('takes no header %s', (line) => {
    expect(reader()(line)).toBe('bad_header');
  });
});
