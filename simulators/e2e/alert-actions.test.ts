import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../rig/until.js';
import { AlertingBoard } from './alerting-board.js';
import { Scene } from './scene.js';

let scene: Scene;
let board: AlertingBoard;

afterEach(async () => {
  board.unplug();
  await scene.close();
});

async function open(name: string): Promise<void> {
  scene = await Scene.open(name, (rig) => {
    writeFileSync(rig.path('rules.yaml'), AlertingBoard.rules);
    return { rules: rig.path('rules.yaml') };
  });
  await scene.rig.device('oven');
  board = new AlertingBoard(scene, 'oven');
}

/** The actions of the oven: a program that appends a line to a file, a line to the board, a status. */
function actions(onCrash: 'skip' | 'repeat' = 'skip'): Record<string, unknown>[] {
  const program = scene.rig.path('siren');
  const line = '$1 $TRIBUTARY_RULE $TRIBUTARY_SERIES $TRIBUTARY_VALUE $TRIBUTARY_REPEATED';
  writeFileSync(program, `#!/bin/sh\necho "${line}" >> ${scene.rig.path('done')}\n`);
  chmodSync(program, 0o755);
  return [
    { name: 'siren', match: { rule: 'too-*' }, run: { command: [program, '{{state}}'] }, onCrash },
    { name: 'fan', match: { series: 'temperature' }, write: { source: 'board', line: 'fan {{state}}' } },
    { name: 'shown', match: {}, status: { name: 'heat', firing: 'too warm' } },
  ];
}

const startAgent = (onCrash: 'skip' | 'repeat' = 'skip') =>
  scene.agent('oven', [board.source], { alerts: actions(onCrash) });

function done(): string[] {
  const path = scene.rig.path('done');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
}

const settled = (done: number) =>
  scene.untilStatus('oven', `${done} of each action are done`, ({ alerts }) =>
    alerts.actions.every((action) => action.done === done && action.running + action.waiting === 0),
  );

describe('an alert that comes back to its device', () => {
  it('runs a program, writes to the board and sets a status, once, over restarts and a buffer that is lost', async () => {
    await open('act');
    await startAgent();
    await board.untilFiringAgain();
    const { alerts } = await settled(1);
    expect(alerts.statuses).toMatchObject([{ name: 'heat', value: 'too warm', incidents: 1 }]);
    expect(done()).toEqual(['firing too-warm temperature 60 0']);
    await until('the board has heard', () => board.heard === 'fan firing\n');

    await scene.stopAgent('oven');
    await startAgent();
    const again = await scene.untilStatus('oven', 'it is connected', ({ uplink }) => uplink.itemsAcknowledged > 0);
    expect(again.alerts.statuses).toMatchObject([{ value: 'too warm', incidents: 1 }]);
    await board.untilResolved();
    await settled(1);
    const whole = ['firing too-warm temperature 60 0', 'resolved too-warm temperature 20 0'];
    expect(done()).toEqual(whole);
    await until('the board has heard', () => board.heard === 'fan firing\nfan resolved\n');

    // The collector knows how far the device had come.
    await scene.stopAgent('oven');
    for (const part of ['', '-wal', '-mark', '-lock']) rmSync(scene.rig.path(`oven.db${part}`), { force: true });
    await startAgent();
    await scene.untilStatus('oven', 'it begins behind its alerts', ({ alerts: { cursor } }) => cursor === 2);
    await board.untilFiringAgain();
    const fresh = await settled(1);
    expect(fresh.alerts).toMatchObject({ received: 1, repeated: 0, cursor: 3 });
    expect(done()).toEqual([...whole, 'firing too-warm temperature 60 0']);
    expect(board.heard).toBe('fan firing\nfan resolved\nfan firing\n');
  });

  it.each([
    ['skip', 'action-begin', []],
    ['repeat', 'action-begin', ['firing too-warm temperature 60 1']],
    ['skip', 'action-end', ['firing too-warm temperature 60 0']],
    ['repeat', 'action-end', ['firing too-warm temperature 60 0', 'firing too-warm temperature 60 1']],
  ] as const)('with onCrash: %s, after a kill at %s, was done as it says', async (onCrash, failpoint, lines) => {
    await open('crash');
    scene.mayEnd.add('oven');
    scene.env.set('oven', { TRIBUTARY_FAILPOINT: `${failpoint}:1` });
    // The siren alone, so that it is the one that is killed.
    const start = () => scene.agent('oven', [board.source], { alerts: actions(onCrash).slice(0, 1) });
    const agent = await start();
    board.heat();
    expect(await agent.exited).toBe(null);
    scene.env.delete('oven');
    await start();
    await scene.untilStatus(
      'oven',
      'what was left is settled',
      ({
        alerts: {
          actions: [siren],
        },
      }) => (onCrash === 'skip' ? siren.skipped.crash === 1 : siren.done === 1),
    );
    expect(done()).toEqual(lines);
    // Neither a further start nor the collector brings it again.
    await scene.stopAgent('oven');
    await start();
    const { alerts } = await scene.untilStatus('oven', 'it is connected', ({ uplink }) => uplink.itemsAcknowledged > 0);
    expect(alerts.actions).toMatchObject([{ done: 0, failed: 0, skipped: {} }]);
    await board.untilResolved();
    await settled(1);
    expect(done()).toEqual([...lines, 'resolved too-warm temperature 20 0']);
  });
});
