import { describe, expect, it } from 'vitest';
import { Autoregressive } from './autoregressive.js';
import { FaultPlan } from './fault-plan.js';
import { PRESET_NAMES, type PresetName, presetModel } from './presets.js';

const MINUTE_US = 60_000_000;
const DAY_US = 1440 * MINUTE_US;

function series(name: PresetName, seed: number, overrides: Parameters<typeof presetModel>[2] = {}, stepUs = MINUTE_US) {
  const model = presetModel(name, seed, overrides);
  return Array.from({ length: 2000 }, (_, at) => model.at(at * stepUs));
}

function deviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

describe('the sensor models', () => {
  it.each(PRESET_NAMES)('%s is a function of seed and time, in whatever order it is asked', (name) => {
    const forwards = series(name, 5, { faultsPerDay: 100 });
    const model = presetModel(name, 5, { faultsPerDay: 100 });
    for (let at = 1999; at >= 0; at -= 7) expect(model.at(at * MINUTE_US)).toEqual(forwards[at]);
    const others = series(name, 6);
    expect(others).not.toEqual(series(name, 5));
  });

  it('show multiples of their resolution as a parser of decimal text would read them', () => {
    for (const value of series('temperature', 1, { faultsPerDay: 0 })) expect(value).toBe(Number(value?.toString()));
    for (const value of series('temperature', 1, { faultsPerDay: 0 }) as number[]) {
      expect(value).toBe(Number(value.toFixed(1)));
    }
    for (const value of series('temperature', 1, { faultsPerDay: 0, resolution: 0.0625 }) as number[]) {
      expect(value * 16).toBe(Math.round(value * 16));
    }
  });

  it('are highest at the peak hour and stay within the limits of the sensor', () => {
    const hourly = Array.from({ length: 24 }, (_, hour) =>
      presetModel('temperature', 3, { noise: 0, drift: 0, faultsPerDay: 0 }).at(hour * 60 * MINUTE_US),
    ) as number[];
    expect(hourly.indexOf(Math.max(...hourly))).toBe(15);
    const capped = series('temperature', 3, { faultsPerDay: 0, noise: 50, minimum: 0, maximum: 30 }) as number[];
    expect(Math.min(...capped)).toBe(0);
    expect(Math.max(...capped)).toBe(30);
  });

  it('break as often as they are told to, in each of the four ways', () => {
    const plan = new FaultPlan(1, 72);
    let faulty = 0;
    const kinds = new Set<string>();
    for (let window = 0; window < 10_000; window += 1) {
      for (let second = 0; second < 600; second += 1) {
        const fault = plan.at((window * 600 + second) * 1_000_000);
        if (fault === undefined) continue;
        faulty += 1;
        kinds.add(fault.kind);
        break;
      }
    }
    expect(faulty / 10_000).toBeCloseTo(0.5, 1);
    expect(kinds).toEqual(new Set(['stuck', 'spike', 'dropout', 'nan']));
    const values = series('temperature', 1, { faultsPerDay: 144 }, 1_000_000);
    expect(values).toContain(undefined);
    expect(values.filter((value) => Number.isNaN(value)).length).toBeGreaterThan(0);
  });

  it('have noise of the stated deviation and correlation, also across blocks', () => {
    const noise = new Autoregressive(9, 0.9);
    const values = Array.from({ length: 50_000 }, (_, at) => noise.at(at));
    expect(deviation(values)).toBeCloseTo(1, 1);
    const shocks = values.slice(1).map((value, at) => value - 0.9 * values[at]);
    expect(deviation(shocks)).toBeCloseTo(Math.sqrt(1 - 0.81), 1);
    expect(Math.abs(values[256] - values[255])).toBeLessThan(5 * Math.sqrt(0.19) + 0.5);
  });

  it('count upwards without a step back', () => {
    const counts = series('counter', 1, { perSecond: 3 }) as number[];
    for (let at = 1; at < counts.length; at += 1) expect(counts[at]).toBeGreaterThanOrEqual(counts[at - 1]);
    const perDay = (presetModel('counter', 1, { perSecond: 3 }).at(DAY_US) as number) - counts[0];
    expect(perDay).toBe(3 * 86_400);
  });

  it('open doors now and then, and run machines through their states', () => {
    const open = series('door', 1).filter((value) => value === true).length;
    expect(open).toBeGreaterThan(50);
    expect(open).toBeLessThan(500);
    expect(new Set(series('machine-state', 1))).toEqual(new Set(['setup', 'running', 'idle', 'fault']));
  });
});
