import { ClockState } from '@tributary/proto/gen/tributary/v1/series';
import { describe, expect, it } from 'vitest';
import { type ClockLook, ClockWatch, lookAtClocks } from './clock-watch.js';

const second = 1_000_000;
const { SYNCHRONIZED, UNSYNCHRONIZED } = ClockState;

/** Seconds on each clock; a service's success by the wall clock. */
const look = (monotonic: number, wall: number, success?: number, asleep: number | undefined = 0): ClockLook => ({
  monotonicUs: monotonic * second,
  wallUs: wall * second,
  synchronizedAtUs: success === undefined ? undefined : success * second,
  asleepUs: asleep === undefined ? undefined : asleep * second,
});

describe('watching the clocks', () => {
  it('takes the wall clock for what it is until a time service vouches for it', () => {
    const watch = new ClockWatch(look(5, 105));
    expect(watch.observation).toMatchObject({ atUs: 5 * second, offsetUs: 100 * second, state: UNSYNCHRONIZED });
    const { sleptUs, observation } = watch.look(look(15, 5015, 5012));
    expect(sleptUs).toBe(0);
    expect(observation).toMatchObject({ offsetUs: 5000 * second, state: SYNCHRONIZED });
    expect(observation.uncertaintyUs).toBeLessThan(second);
  });

  it.each([
    ['forward', 3600],
    ['back', -3600],
    ['back by a little', -60],
  ])('trusts nobody after a step %s, until the service has succeeded again', (_, by) => {
    const watch = new ClockWatch(look(5, 105, 100));
    expect(watch.observation.state).toBe(SYNCHRONIZED);
    expect(watch.look(look(15, 115 + by, 100)).observation.state).toBe(UNSYNCHRONIZED);
    // Also when the clock passes the time of that success a second time.
    for (let at = 16; at < 116; at++) {
      expect(watch.look(look(at, at + 100 + by, 100)).observation.state).toBe(UNSYNCHRONIZED);
    }
    expect(watch.look(look(125, 225, 223)).observation.state).toBe(SYNCHRONIZED);
  });

  it('trusts a step that the service itself has made', () => {
    const watch = new ClockWatch(look(5, 105, 100));
    expect(watch.look(look(15, 3715, 3712)).observation.state).toBe(SYNCHRONIZED);
  });

  it('does not trust a success from before a step, though it is new', () => {
    const watch = new ClockWatch(look(5, 105, 100));
    expect(watch.look(look(15, 3715, 108)).observation.state).toBe(UNSYNCHRONIZED);
  });

  it('tells a sleep from a step where the machine says how long it slept', () => {
    const watch = new ClockWatch(look(5, 105, 100));
    expect(watch.look(look(15, 715, 100, 600))).toMatchObject({
      sleptUs: 600 * second,
      observation: { offsetUs: 700 * second, state: SYNCHRONIZED },
    });
    const { sleptUs, observation } = watch.look(look(25, 9000, 100, 900));
    expect(sleptUs).toBe(300 * second);
    expect(observation.state).toBe(UNSYNCHRONIZED);
  });

  it('takes a jump forward of a clock that is vouched for as a sleep where nobody says', () => {
    const without = (monotonic: number, wall: number, success?: number): ClockLook => ({
      ...look(monotonic, wall, success),
      asleepUs: undefined,
    });
    const watch = new ClockWatch(without(5, 105, 100));
    expect(watch.look(without(15, 715, 100)).sleptUs).toBe(600 * second);
    const other = new ClockWatch(without(5, 105));
    expect(other.look(without(15, 715)).sleptUs).toBe(0);
  });

  it('does not begin by trusting a clock that was set since an earlier start', () => {
    expect(new ClockWatch(look(50, 150, 148)).observation.state).toBe(SYNCHRONIZED);
    expect(new ClockWatch(look(50, 150, 160)).observation.state).toBe(UNSYNCHRONIZED);
    expect(new ClockWatch(look(50, 150, 100), 100 * second).observation.state).toBe(SYNCHRONIZED);
    expect(new ClockWatch(look(50, 150, 100), 90 * second).observation.state).toBe(UNSYNCHRONIZED);
    // As much as the machine has slept may lie between.
    expect(new ClockWatch(look(50, 150, 100, 60), 90 * second).observation.state).toBe(SYNCHRONIZED);
  });

  it('does not trust a clock that the collector contradicts', () => {
    const watch = new ClockWatch(look(5, 105, 100));
    watch.contradicted();
    expect(watch.look(look(15, 115, 100)).observation.state).toBe(UNSYNCHRONIZED);
    expect(watch.look(look(25, 125, 124)).observation.state).toBe(SYNCHRONIZED);
  });

  it('does not take the uptime of a container for a sleep', () => {
    const clock = { monotonicUs: () => 500 * second, wallUs: () => 0 };
    const host = { bootId: '', synchronizedAtUs: () => undefined };
    expect(lookAtClocks(clock, { ...host, sinceBootUs: () => 900 * second }).asleepUs).toBe(400 * second);
    expect(lookAtClocks(clock, { ...host, sinceBootUs: () => 20 * second }).asleepUs).toBe(undefined);
    expect(lookAtClocks(clock, { ...host, sinceBootUs: () => undefined }).asleepUs).toBe(undefined);
  });
});
