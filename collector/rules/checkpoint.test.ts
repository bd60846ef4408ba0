import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  addCheckpoint,
  bodyOf,
  checkpointFor,
  dropCheckpointsAfter,
  readBody,
  readEarlier,
  takeCheckpoint,
} from './checkpoint.js';
import { RuleHost } from './rule-host.js';
import { type DeviceTrack, soil } from './tracks.js';

const hour = 3600e6;
let device: DeviceTrack;

beforeEach(() => {
  const rules = parseRules('rules: [{name: hot, select: {name: t}, above: 10}]', 'rules.yaml').map(compileRule);
  const host = new RuleHost(rules);
  device = host.introduce(1, { tenant: '', device: 'd' }, {});
  host.trackOf(device, 7, { name: 't', unit: '', labels: {}, type: ValueType.DOUBLE })!.timeUs = 5;
});

const times = () => device.checkpoints.map(({ timeUs }) => timeUs / hour);

describe('checkpoints of a device', () => {
  it('are few, the fewer the older', () => {
    for (let at = 0; at <= 100; at += 1) takeCheckpoint(device, at * hour);
    expect(times().length).toBe(8);
    expect(times().at(-1)).toBe(100);
    expect(times()[0]).toBeLessThan(60);
    const ages = times().map((time) => 100 - time);
    for (let at = 1; at < ages.length - 1; at += 1) expect(ages[at - 1]! / ages[at]!).toBeLessThan(5);
    // Each has a place of its own.
    expect(new Set(device.checkpoints.map(({ number }) => number)).size).toBe(8);
  });

  it('stay where what must be judged anew begins', () => {
    takeCheckpoint(device, hour);
    takeCheckpoint(device, 2 * hour);
    soil(device, 2 * hour, 0);
    for (let at = 3; at <= 40; at += 1) takeCheckpoint(device, at * hour);
    expect(checkpointFor(device, 2 * hour)?.timeUs).toBe(2 * hour);
    expect(checkpointFor(device, 2 * hour - 1)?.timeUs).not.toBe(2 * hour);
  });

  it('are as many as fit where they are large', () => {
    for (let at = 0; at < 6; at += 1) {
      const body = bodyOf(device, at * hour, []);
      const label = 'x'.repeat(900_000);
      addCheckpoint(device, { ...body, points: [{ epoch: label, sequence: 1, readingsEnd: null, lastUs: null }] });
    }
    expect(device.checkpoints.length).toBe(2);
  });

  it('go when what they hold is not true any more', () => {
    for (let at = 0; at <= 3; at += 1) takeCheckpoint(device, at * hour);
    const gone = device.checkpoints.filter(({ timeUs }) => timeUs > hour).map(({ number }) => number);
    dropCheckpointsAfter(device, hour);
    expect(times()).toEqual([0, 1]);
    for (const number of gone) expect(device.newCheckpoints.get(number)).toBe('');
  });

  it('are read from where something earlier followed', () => {
    takeCheckpoint(device, hour);
    takeCheckpoint(device, 2 * hour);
    readEarlier(device, 2 * hour - 5);
    expect(device.checkpoints.map(({ readFromUs }) => readFromUs)).toEqual([hour, 2 * hour - 5]);
  });

  it('come back from JSON as they were, and nothing else does', () => {
    takeCheckpoint(device, hour);
    const text = device.newCheckpoints.get(0)!;
    const body = readBody(text)!;
    expect(body).toMatchObject({ timeUs: hour, tracks: [[7, 5]], cells: [{ seriesId: 7, rule: 'hot' }] });
    expect(JSON.stringify(body)).toBe(text);
    expect([readBody('{}'), readBody(''), readBody('7')]).toEqual([undefined, undefined, undefined]);
  });
});
