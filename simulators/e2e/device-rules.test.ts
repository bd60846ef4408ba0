import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../rig/until.js';
import { AlertingBoard } from './alerting-board.js';
import { Scene } from './scene.js';

let scene: Scene;
let board: AlertingBoard;

afterEach(async () => {
  board?.unplug();
  await scene.close();
});

/** JSON is YAML. */
const rulesOf = (...rules: Record<string, unknown>[]) =>
  JSON.stringify({
    rules: rules.map((rule) => ({ select: { name: 'temperature' }, evaluate: 'device', ...rule })),
  });
const tooWarm = { name: 'too-warm', above: 50, clear: 40, annotations: { text: '{{device}}: {{value}}' } };

/** Batches stay open for long, so that what is found at once was found before they closed. */
const SLOW_BATCHES = { maxAge: '2s', maxAgeOffline: '5s' };

async function open(name: string, rules = rulesOf(tooWarm)): Promise<void> {
  scene = await Scene.open(name, (rig) => {
    writeFileSync(rig.path('rules.yaml'), rules);
    return { rules: rig.path('rules.yaml') };
  });
  await scene.rig.device('oven');
  board = new AlertingBoard(scene, 'oven');
}

/** A program that appends a line to a file. */
function siren(): Record<string, unknown> {
  const program = scene.rig.path('siren');
  writeFileSync(program, `#!/bin/sh\necho "$1 $2" >> ${scene.rig.path('done')}\n`);
  chmodSync(program, 0o755);
  return { name: 'siren', match: {}, run: { command: [program, '{{state}}', '{{incident}}'] }, onCrash: 'repeat' };
}

const start = () => scene.agent('oven', [board.source], { batching: SLOW_BATCHES, alerts: [siren()] });

/** What the program has done: state and incident. */
function done(): string[] {
  const path = scene.rig.path('done');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

const untilRules = (rules: number) =>
  scene.untilStatus('oven', 'it has its rules', (status) => (status.rules?.rules ?? 0) === rules);

/** What the agent has logged of alerts, over all its lives: number, state and incident. */
const acted = () =>
  scene
    .log('oven')
    .filter(({ msg }) => String(msg).startsWith('alert '))
    .map(({ msg, incident, alert }) => ({ state: String(msg).split(' ').at(-1), incident, number: alert }));

/** What the collector has, in the order of its numbers. */
const adopted = async () =>
  (await scene.observer.alerts('oven')).map(({ number, state, incidentId, authority, late }) => ({
    number,
    state: AlertState[state]?.toLowerCase(),
    incident: Buffer.from(incidentId).toString('hex'),
    authority,
    late,
  }));

describe('a rule that the device evaluates', () => {
  it('is acted upon at once while the collector is cut off, and is one incident afterwards, acted upon once', async () => {
    await open('device-rule');
    await start();
    await untilRules(1);
    scene.cutLink();
    await scene.untilStatus(
      'oven',
      'the link is cut',
      ({ uplink }) => uplink.state !== 'idle' && uplink.state !== 'streaming',
    );

    const heatedMs = performance.now();
    board.heat();
    await until('the device acts', () => done().length === 1);
    // The batch would have stayed open for five seconds.
    expect(performance.now() - heatedMs).toBeLessThan(3000);
    const { rules } = await scene.status('oven');
    expect(rules).toMatchObject({ firing: 1, transitions: 1, standing: [{ rule: 'too-warm', series: 'temperature' }] });

    scene.proxy.heal();
    await until('the collector has adopted it', async () => (await adopted()).length === 1);
    await board.untilResolved();
    await until('and its end', async () => (await adopted()).length === 2);
    const [firing, resolved] = await adopted();
    const { incident } = acted()[0]!;
    const common = { incident, authority: RuleAuthority.DEVICE, late: false };
    expect([firing, resolved]).toEqual([
      { number: 1, state: 'firing', ...common },
      { number: 2, state: 'resolved', ...common },
    ]);
    // They come back with their numbers, and nothing is done again.
    await scene.untilStatus('oven', 'it knows their numbers', ({ alerts }) => alerts.cursor === 2);
    expect(acted()).toEqual([
      { state: 'firing', incident, number: 0 },
      { state: 'resolved', incident, number: 0 },
    ]);
    expect(done()).toEqual([`firing ${incident}`, `resolved ${incident}`]);
    const produced = await scene.settle('oven');
    expect(await scene.observer.sums('oven')).toMatchObject({ produced, stored: produced, missing: 0, doubled: 0 });
  });

  it('goes on over a restart and a kill, offline, as the same incident', async () => {
    await open('device-rule-restart');
    await start();
    await untilRules(1);
    scene.cutLink();
    board.heat();
    await until('the device acts', () => acted().length === 1);
    await scene.stopAgent('oven');
    await start();
    expect((await untilRules(1)).rules).toMatchObject({ firing: 1 });
    await scene.killAgent('oven');
    await start();
    expect((await untilRules(1)).rules).toMatchObject({ firing: 1 });
    await board.untilResolved();
    scene.proxy.heal();
    await until('the collector has both', async () => (await adopted()).length === 2);
    const { incident } = acted()[0]!;
    expect((await adopted()).map((one) => [one.state, one.incident])).toEqual([
      ['firing', incident],
      ['resolved', incident],
    ]);
    await until('the end is acted upon', () => done().length === 2);
    expect(done()).toEqual([`firing ${incident}`, `resolved ${incident}`]);
  });

  it.each(['rule-found', 'rule-written'])('is acted upon once though the agent is killed at %s', async (failpoint) => {
    await open(`device-${failpoint}`);
    const hit = { TRIBUTARY_FAILPOINT: `${failpoint}:1` };
    scene.env.set('oven', hit);
    scene.mayEnd.add('oven');
    const agent = await start();
    await untilRules(1);
    scene.cutLink();
    board.heat();
    expect(await agent.exited).toBe(null);
    expect(done()).toEqual([]);
    scene.env.delete('oven');
    await start();
    await until('the device acts', () => done().length === 1);
    // Not again at a further start, nor when the collector brings it.
    await scene.stopAgent('oven');
    await start();
    scene.proxy.heal();
    await until('the collector has adopted it', async () => (await adopted()).length === 1);
    await board.untilResolved();
    await until('the end is acted upon', () => done().length === 2);
    await scene.untilStatus('oven', 'it knows their numbers', ({ alerts }) => alerts.cursor === 2);
    const all = await adopted();
    expect(done()).toEqual(all.map(({ state, incident }) => `${state} ${incident}`));
    expect(new Set(all.map(({ incident }) => incident)).size).toBe(1);
  });

  it('that changed while the device was away ends what it had begun, and says why', async () => {
    await open('device-rule-changed');
    await start();
    await untilRules(1);
    board.heat();
    await until('the collector has adopted it', async () => (await adopted()).length === 1);
    await scene.stopCollector();
    const rules = rulesOf({ ...tooWarm, above: 90 }, { name: 'warm', above: 30 });
    writeFileSync(scene.rig.path('rules.yaml'), rules);
    await scene.restartCollector();
    await untilRules(2);
    await until('the collector has what followed', async () => (await adopted()).length === 3);
    const alerts = await scene.observer.alerts('oven');
    expect(alerts.map(({ rule, state, annotations }) => [rule, AlertState[state], annotations.ended])).toEqual([
      ['too-warm', 'FIRING', undefined],
      ['too-warm', 'RESOLVED', 'the rule was changed'],
      ['warm', 'FIRING', undefined],
    ]);
  });
});
