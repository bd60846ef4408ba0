import { describe, expect, it } from 'vitest';
import { World } from './world.js';

describe('simulated time', () => {
  it('runs events in order of time, and at one time in order of scheduling', async () => {
    const world = new World();
    const seen: string[] = [];
    for (const [delayMs, name] of [
      [5, 'c'],
      [1, 'a'],
      [5, 'd'],
      [3, 'b'],
    ] as const) {
      world.schedule(delayMs, () => seen.push(`${name}${world.nowMs}`));
    }
    await world.run(4);
    expect(seen).toEqual(['a1', 'b3']);
    await world.run(10);
    expect(seen).toEqual(['a1', 'b3', 'c5', 'd5']);
    expect(world.nowMs).toBe(10);
  });

  it('lets nothing happen on behalf of a process that has ended, nor what was taken back', async () => {
    const world = new World();
    const life = { alive: true };
    const seen: string[] = [];
    world.schedule(1, () => seen.push('before'), life);
    world.schedule(2, () => {
      life.alive = false;
    });
    world.schedule(3, () => seen.push('after'), life);
    const cancel = world.schedule(4, () => seen.push('cancelled'));
    cancel();
    await world.run(10);
    expect(seen).toEqual(['before']);
  });

  it('lets promises settle before the next event, however long their chain', async () => {
    const world = new World();
    const seen: string[] = [];
    world.schedule(1, () => {
      void (async () => {
        for (let at = 0; at < 20; at++) await undefined;
        seen.push(`settled at ${world.nowMs}`);
      })();
      world.settle();
    });
    world.schedule(2, () => seen.push('next'));
    await world.run(10);
    expect(seen).toEqual(['settled at 1', 'next']);
  });

  it('ends with what was thrown in an event, or failed where nobody would have seen it', async () => {
    const thrower = new World();
    thrower.schedule(1, () => {
      throw new Error('thrown');
    });
    await expect(thrower.run(10)).rejects.toThrow('thrown');
    const failing = new World();
    failing.schedule(1, () => failing.fail(new Error('failed')));
    await expect(failing.run(10)).rejects.toThrow('failed');
  });

  it('has one hash for one history, and keeps its newest lines', () => {
    const hashes = [100, 100, 101].map((lines) => {
      const world = new World();
      for (let line = 0; line < lines; line++) world.trace('agent', `did ${line}`);
      expect(world.history.at(-1)).toBe(`0.0000 agent did ${lines - 1}`);
      expect(world.history.length).toBe(60);
      return world.hash();
    });
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[2]).not.toBe(hashes[0]);
  });
});
