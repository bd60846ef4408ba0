import { incidentId } from '@tributary/core/rules/incident-id';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { BENCH_DEVICE, RulesBench } from './rules-bench.js';

const rules = (...texts: string[]) => `rules:\n${texts.map((text) => `  - {${text}, evaluate: device}\n`).join('')}`;
const hot = 'name: hot, select: {name: t}, above: 50, clear: 40';

function bench(text = rules(hot)): RulesBench {
  const world = new RulesBench();
  world.rules.update('1', text);
  return world;
}

describe("a device's own rules", () => {
  it('are acted upon when the row comes, with the sequence that its batch got', async () => {
    const world = bench();
    await world.later(1, { t: 20, other: 1 });
    await world.later(1000, { t: 60 });
    expect(world.story).toEqual(['hot firing t']);
    const [{ sequence, transition }] = world.items as [(typeof world.items)[0]];
    expect(transition).toMatchObject({ rule: 'hot', seriesId: 1, onsetSequence: 1, onsetRow: 1, value: 60 });
    expect(transition).toMatchObject({ startedSegment: 1, startedUs: world.nowUs, transitionUs: world.nowUs });
    expect(sequence).toBe(2);
    const series = { ...BENCH_DEVICE, name: 't', unit: '', labels: {} };
    const onset = { epoch: '07'.repeat(16), sequence: 1, row: 1, gridUs: 0 };
    expect(world.acted[0]).toMatchObject({ number: 0, transitionAtUs: world.nowUs + 1.7e15 });
    expect(world.acted[0]?.incidentId).toEqual(incidentId('hot', series, onset));
    // Nothing else closed a batch early.
    await world.later(100, { t: 61 });
    expect(world.batcher.pendingReadings).toBe(1);
  });

  it('go on over a restart, with the incident that runs', async () => {
    const world = bench();
    await world.later(1, { t: 60 });
    await world.restart();
    expect(world.rules.status).toMatchObject({ version: '1', rules: 1, firing: 1 });
    await world.later(1000, { t: 61 });
    await world.later(1000, { t: 30 });
    expect(world.story).toEqual(['hot firing t', 'hot resolved t']);
    expect(world.acted[0]?.incidentId).toEqual(world.acted[1]?.incidentId);
  });

  it('go on over a kill and a boot, and act upon what was found and not acted upon', async () => {
    const world = bench();
    await world.later(1, { t: 20 });
    const act = world.acted;
    world.scheduler.advance(1000);
    // Killed as soon as the transition is on the disk.
    const before = world.rules.written.bind(world.rules);
    world.rules.written = () => {
      world.rules.written = before;
    };
    await world.row(world.nowUs, { t: 60 });
    expect(act).toEqual([]);
    world.segment = 2;
    world.offsetUs = 5;
    await world.kill();
    expect(world.story).toEqual(['hot firing t']);
    await world.later(1000, { t: 30 });
    expect(world.story).toEqual(['hot firing t', 'hot resolved t']);
    const [firing, resolved] = world.items;
    expect(firing?.transition.transitionSegment).toBe(1);
    expect(resolved?.transition).toMatchObject({ startedSegment: 1, transitionSegment: 2, transitionUs: world.nowUs });
    expect(resolved?.transition.onsetSequence).toBe(firing?.transition.onsetSequence);
  });

  it('count the time for which they wait on the monotonic line, and not while the agent was down', async () => {
    const world = bench(rules(`${hot}, for: 10s`));
    for (let second = 0; second < 6; second++) await world.later(1000, { t: 60 });
    expect(world.rules.status.pending).toBe(1);
    await world.restart();
    world.scheduler.advance(100_000);
    for (let second = 0; second < 5; second++) await world.later(1000, { t: 60 });
    expect(world.story).toEqual([]);
    for (let second = 0; second < 2; second++) await world.later(1000, { t: 60 });
    expect(world.story).toEqual(['hot firing t']);
  });

  it('that change end what runs with a word about it, and the others go on', async () => {
    const cold = 'name: cold, select: {name: t}, below: 100';
    const world = bench(rules(hot, cold));
    await world.later(1, { t: 60 });
    world.rules.update('2', rules('name: hot, select: {name: t}, above: 55', cold));
    await world.settle();
    await world.later(1000, { t: 60 });
    expect(world.acted.map(({ rule, state, annotations }) => [rule, AlertState[state], annotations.ended])).toEqual([
      ['hot', 'FIRING', undefined],
      ['cold', 'FIRING', undefined],
      ['hot', 'RESOLVED', 'the rule was changed'],
      ['hot', 'FIRING', undefined],
    ]);
    world.rules.update('', '');
    await world.settle();
    expect(world.acted.slice(4).map(({ rule, annotations }) => [rule, annotations.ended])).toEqual([
      ['hot', 'the rule was removed'],
      ['cold', 'the rule was removed'],
    ]);
    await world.restart();
    expect(world.rules.status).toMatchObject({ version: '', rules: 0, watched: 0 });
    expect(
      world.core
        .ruleNotes()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['line', 'rules']);
  });

  it('that this agent cannot judge are said, and the others run', async () => {
    const world = bench(rules(hot, 'name: later, select: {name: t}, conjecture: 7'));
    await world.later(1, { t: 60 });
    expect(world.story).toEqual(['hot firing t']);
    expect(world.rules.status.refused).toEqual([{ name: 'later', why: expect.stringContaining('conjecture') }]);
    world.rules.update('2', 'rules: [');
    expect(world.rules.status).toMatchObject({ version: '1', trouble: expect.any(String), firing: 1 });
  });

  it('lose nothing while the disk refuses: what was found is acted upon when it takes again', async () => {
    const world = bench();
    await world.later(1, { t: 20 });
    await world.flush();
    world.diskFails = true;
    await world.later(1000, { t: 60 });
    expect(world.story).toEqual([]);
    world.diskFails = false;
    await world.pass(10_000);
    expect(world.story).toEqual(['hot firing t']);
    expect(world.items[0]?.transition.onsetSequence).toBe(2);
  });

  it('name the epoch in which the batch finally lies', async () => {
    const world = bench();
    await world.later(1, { t: 20 });
    await world.flush();
    world.diskFails = true;
    await world.later(1000, { t: 60 });
    world.core.openEpoch(new Uint8Array(16).fill(9));
    world.diskFails = false;
    await world.pass(10_000);
    const [{ transition }] = world.items as [(typeof world.items)[0]];
    expect(Buffer.from(transition.onsetEpoch).toString('hex')).toBe('09'.repeat(16));
    // The readings before moved along, so it is the second there.
    expect(transition.onsetSequence).toBe(world.core.state.highestSequence - 1);
  });

  it('send nothing to a collector that takes no transitions, and say what fires to one that does', async () => {
    const world = bench();
    world.rules.registered(false);
    world.rules.linked(true);
    await world.later(1, { t: 60 });
    expect(world.story).toEqual(['hot firing t']);
    expect(world.items).toEqual([]);
    expect(world.rules.status.transitionsKept).toBe(1);
    world.rules.linked(false);
    world.rules.registered(true);
    world.rules.linked(true);
    await world.settle();
    expect(world.items).toHaveLength(1);
  });

  it('say once more to a collector what began while there was none, if it goes on', async () => {
    const world = bench(rules(hot, 'name: warm, select: {name: t}, above: 30'));
    await world.later(1, { t: 60 });
    await world.later(1000, { t: 35 });
    expect(world.story).toEqual(['hot firing t', 'warm firing t', 'hot resolved t']);
    world.rules.linked(true);
    await world.settle();
    const said = world.items.map(({ transition: { rule, state } }) => `${rule} ${AlertState[state]}`);
    expect(said).toEqual(['hot FIRING', 'warm FIRING', 'hot RESOLVED', 'warm FIRING']);
    expect(world.items[3]?.transition).toEqual(world.items[1]?.transition);
    expect(world.story).toHaveLength(3);
    const relinked = async (afterMs: number) => {
      await world.pass(afterMs);
      world.rules.linked(false);
      world.rules.linked(true);
      await world.settle();
      return world.items.length;
    };
    // It may have been on its way when the link was lost.
    expect(await relinked(1000)).toBe(5);
    expect(await relinked(130_000)).toBe(5);
    // Now and then all is said, whatever became of it.
    expect(await relinked(600_000)).toBe(6);
    expect(new Set(world.items.slice(3).map(({ transition }) => JSON.stringify(transition))).size).toBe(1);
  });

  it('judge while nobody knows the time, and when it becomes known', async () => {
    const wall = { us: 5 };
    const world = new RulesBench(() => wall.us);
    world.rules.update('1', rules(`${hot}, for: 10s`));
    for (let second = 0; second <= 5; second++) await world.later(1000, { t: 60 });
    wall.us = 1.7e15;
    for (let second = 0; second <= 4; second++) await world.later(1000, { t: 60 });
    expect(world.story).toEqual(['hot firing t']);
    expect(world.items[0]?.transition).toMatchObject({ startedUs: world.nowUs - 10e6, transitionUs: world.nowUs });
    await world.restart();
    await world.later(1000, { t: 30 });
    expect(world.items[1]?.transition).toMatchObject({ startedUs: world.nowUs - 11e6, transitionUs: world.nowUs });
  });

  it('find out that a sensor is silent though nothing else comes, also after a restart', async () => {
    const world = bench(rules('name: gone, select: {name: t}, absent: 10s'));
    await world.later(1000, { t: 1 });
    await world.pass(9000);
    expect(world.story).toEqual([]);
    await world.pass(3000);
    expect(world.story).toEqual(['gone firing t']);
    await world.later(1000, { t: 1 });
    expect(world.story).toEqual(['gone firing t', 'gone resolved t']);
    await world.restart();
    world.scheduler.advance(8000);
    await world.restart();
    await world.pass(9000);
    expect(world.story).toHaveLength(2);
    await world.pass(3000);
    expect(world.story).toEqual(['gone firing t', 'gone resolved t', 'gone firing t']);
  });

  it('are found at once though readings of others wait in an open batch', async () => {
    const world = bench(rules('name: gone, select: {name: t}, absent: 10s'));
    await world.later(1000, { t: 1 });
    await world.pass(8000);
    await world.later(900, { other: 1 });
    await world.pass(2200);
    expect(world.story).toEqual(['gone firing t']);
  });

  it('judge several series of the device together', async () => {
    const both = 'all: [{select: {name: door}, equals: open}, {select: {name: t}, above: 50}]';
    const world = bench(rules(`name: both, ${both}`));
    await world.later(1000, { door: 'open', t: 40 });
    await world.later(1000, { t: 60 });
    await world.pass(3000);
    expect(world.story).toEqual(['both firing t']);
    await world.restart();
    await world.later(1000, { t: 60, door: 'open' });
    await world.later(1000, { door: 'shut', t: 60 });
    await world.pass(3000);
    expect(world.story.at(-1)).toBe('both resolved t');
    expect(new Set(world.acted.map(({ incidentId }) => Buffer.from(incidentId).toString('hex'))).size).toBe(1);
  });

  it('judge what has times of its own on those, and do not mix the two', async () => {
    const world = bench(rules(`${hot}, for: 10s`));
    const at = 1.75e15;
    for (let second = 0; second <= 9; second++) await world.row(at + second * 1e6, { t: 60 }, 'absolute');
    await world.flush();
    await world.later(1000, { t: 60 });
    expect(world.story).toEqual([]);
    await world.row(at + 10e6, { t: 60 }, 'absolute');
    expect(world.story).toEqual(['hot firing t']);
    expect(world.items[0]?.transition).toMatchObject({ startedSegment: 0, startedUs: at, transitionUs: at + 10e6 });
    await world.restart();
    // The series is read on the monotonic line since: what ran on the other cannot be judged any more.
    await world.later(1000, { t: 60 });
    await world.flush();
    expect(world.acted[1]?.annotations.ended).toContain('another clock');
  });

  it('interrupt what they count when the device slept', async () => {
    const world = bench(rules(`${hot}, for: 10s`));
    for (let second = 0; second <= 6; second++) await world.later(1000, { t: 60 });
    world.segment = 2;
    for (let second = 0; second <= 3; second++) await world.later(1000, { t: 60 });
    expect(world.story).toEqual([]);
    await world.later(1000, { t: 60 });
    expect(world.story).toEqual(['hot firing t']);
    expect(world.items[0]?.transition).toMatchObject({ startedSegment: 1, transitionSegment: 2 });
  });

  it('close no batch for a sensor that flutters, and judge it all the same', async () => {
    const world = bench();
    let closed = 0;
    for (let step = 0; step < 100; step++) {
      await world.later(100, { t: step % 2 === 0 ? 60 : 30 });
      if (world.batcher.pendingReadings === 0) closed++;
    }
    expect(closed).toBeLessThan(25);
    await world.flush();
    expect(world.acted).toHaveLength(100);
  });

  it('judge a text as a text', async () => {
    const world = bench(rules('name: open, select: {name: door}, equals: open'));
    await world.later(1, { door: 'shut' });
    await world.later(1000, { door: 'open' });
    await world.later(1000, { door: 'ajar' });
    expect(world.story).toEqual(['open firing door', 'open resolved door']);
  });

  it('write everything again into a buffer that began anew', async () => {
    const world = bench();
    await world.later(1, { t: 60 });
    const notes = world.core.ruleNotes().length;
    for (const { name } of world.core.ruleNotes())
      world.core.append([], undefined, { ruleNotes: [{ name, text: undefined }] });
    world.core.openEpoch(new Uint8Array(16).fill(8));
    await world.later(1000, { t: 61 });
    await world.flush();
    expect(world.core.ruleNotes()).toHaveLength(notes);
    await world.kill();
    expect(world.rules.status).toMatchObject({ version: '1', firing: 1 });
  });
});
