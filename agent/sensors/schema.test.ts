import { systemScheduler } from '@tributary/core/clock/clock';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { createSource } from './create-source.js';
import { RecordingHost } from './recording-sink.js';
import { sourcesSchema } from './schema.js';
import { serialportBinding } from './serial/serialport-binding.js';

const serial = { type: 'serial', name: 'board', path: '/dev/ttyUSB0', format: 'json' };
const simulator = { type: 'simulator', name: 'sim', series: [{ name: 't', model: 'temperature' }] };
const replay = { type: 'replay', name: 'old', path: '/data/table.csv' };

/** What is wrong with the sources: path and message. */
function problems(...sources: object[]): string[] {
  const { issues = [] } = v.safeParse(sourcesSchema, sources);
  return issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
}

describe('the sources of a configuration', () => {
  it('are made with their defaults', () => {
    const sources = v.parse(sourcesSchema, [serial, simulator, replay]);
    expect(sources[0]).toMatchObject({ baudRate: 115_200, firstLine: 'drop', maxSeries: 256, maxLineBytes: 4096 });
    expect(sources[1]).toMatchObject({ interval: 1000, seed: 1 });
    expect(sources[2]).toMatchObject({ paced: true, speed: 1, mode: 'once', rebase: false });
    const deps = { scheduler: systemScheduler, random: Math.random, serialBinding: serialportBinding };
    const names = sources.map((config) => createSource(config, new RecordingHost(), deps).name);
    expect(names).toEqual(['board', 'sim', 'old']);
  });

  it.each<[object, string]>([
    [{ ...serial, format: 'xml' }, '0.format: not a format; write json, csv or key-value'],
    [{ ...serial, path: 'ttyUSB0' }, '0.path: not the path of a device'],
    [{ ...serial, baudRate: '9600' }, '0.baudRate: not a number; write the baud rate without a unit'],
    [{ ...serial, parity: 'mark' }, '0.parity: not a parity; write none, even or odd'],
    [{ ...serial, csv: {} }, '0.csv: only for format csv, this is json; remove it or change the format'],
    [{ ...serial, format: 'csv', csv: { columns: ['a', 'a'] } }, '0.csv.columns: a column twice'],
    [{ ...serial, format: 'csv', csv: { columns: ['a'] }, fields: { b: {} } }, '0.fields.b: not a column'],
    [{ ...serial, fields: { a: { name: 'x' }, b: { name: 'x' } } }, '0.fields.b: a second field named x'],
    [{ ...serial, fields: { a: {}, b: {} }, maxSeries: 1 }, '0.maxSeries: 2 fields are configured'],
    [{ ...serial, expectWithin: 30 }, '0.expectWithin: a duration without a unit'],
    [{ ...simulator, interval: '0s' }, '0.interval: too short'],
    [{ ...simulator, series: [{ name: 't', model: 'radar' }] }, '0.series.0.model: not a sensor'],
    [{ ...simulator, series: [...simulator.series, ...simulator.series] }, '0.series.1.name: t is here twice'],
    [
      { ...simulator, series: [{ name: 'd', model: 'door', parameters: { noise: 1 } }] },
      '0.series.0.parameters.noise: door has no such parameter; remove it',
    ],
    [{ ...replay, paced: false, rebase: true }, '0.rebase: needs paced: true'],
    [{ ...replay, paced: false, speed: 2 }, '0.speed: has no meaning'],
    [{ ...replay, speed: 0 }, '0.speed: must be greater than 0'],
    [{ ...serial, name: 'my board' }, '0.name: not a name'],
    [{ ...serial, labels: { 'a b': 'c' } }, '0.labels.a b: not a label name'],
  ])('%j is refused: %s', (source, problem) => {
    expect(problems(source)).toEqual([expect.stringContaining(problem)]);
  });

  it('refuses unknown keys, a second source of a name and a second source of a device', () => {
    expect(problems({ ...serial, bautRate: 1 }).length).toBe(1);
    expect(problems(serial, { ...serial, name: 'b' })[0]).toContain('has a source already');
    expect(problems(serial, { ...simulator, name: 'board' })[0]).toContain('a second source named board');
  });
});
