import { writeFileSync } from 'node:fs';
import type { AgentStatus } from '@tributary/agent/health/agent-status';
import { readStatus } from '@tributary/agent/health/status-socket';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import { afterEach, describe, expect, it } from 'vitest';
import { Observer } from '../rig/observer.js';
import { Rig } from '../rig/rig.js';
import { until } from '../rig/until.js';

let rig: Rig;
let observer: Observer;

afterEach(async () => {
  observer.close();
  await rig.close();
});

const source = {
  type: 'simulator',
  name: 'sensors',
  interval: '50ms',
  series: [{ name: 'temperature', model: 'temperature' }],
};

/** Rules that fire with the first reading. */
const rules = (...names: string[]) =>
  JSON.stringify({
    rules: names.map((name) => ({
      name,
      select: { name: 'temperature', attributes: { site: 'north' } },
      above: -1000,
      evaluate: 'device',
    })),
  });

describe('rules of a device', () => {
  it('that change while it is connected run at once, and those that are gone end what they began', async () => {
    rig = await Rig.create('rules-changed');
    for (const name of ['north-1', 'south-1']) await rig.device(name);
    const file = rig.path('rules.yaml');
    writeFileSync(file, rules());
    const { child, port } = await rig.collector({ rules: file });
    const reload = (...names: string[]) => {
      writeFileSync(file, rules(...names));
      child.signal('SIGHUP');
    };
    observer = new Observer(port, rig.operatorFiles);
    for (const [name, site] of [
      ['north-1', 'north'],
      ['south-1', 'south'],
    ] as const) {
      await rig.agent(name, port, { sources: [source], device: { site }, collector: { streamAge: '500ms' } });
    }
    const status = (name: string): Promise<AgentStatus> => readStatus(rig.path(`${name}.sock`));
    const story = async () =>
      (await observer.alerts('north-1')).map(({ rule, state, annotations }) =>
        `${rule} ${AlertState[state]} ${annotations.ended ?? ''}`.trim(),
      );
    await until('both are connected', async () => {
      const all = await Promise.all(['north-1', 'south-1'].map(status));
      return all.every(({ uplink, rules: own }) => uplink.itemsAcknowledged > 0 && own === undefined);
    });

    reload('first', 'second');
    await until('the rules run and have fired', async () => (await status('north-1')).rules?.firing === 2);
    await until('the collector knows', async () => (await story()).length === 2);

    reload('second', 'third');
    await until('the other rules run', async () => (await story()).length === 4);
    reload();
    await until('none runs any more', async () => (await status('north-1')).rules?.rules === 0);
    await until('everything has ended', async () => (await story()).length === 6);
    const all = await story();
    expect([...all.slice(0, 2)].sort()).toEqual(['first FIRING', 'second FIRING']);
    expect([...all.slice(2, 4)].sort()).toEqual(['first RESOLVED the rule was removed', 'third FIRING']);
    expect([...all.slice(4)].sort()).toEqual([
      'second RESOLVED the rule was removed',
      'third RESOLVED the rule was removed',
    ]);
    // Whom they are not for has heard nothing of them.
    expect((await status('south-1')).rules).toBeUndefined();
    expect(await observer.alerts('south-1')).toEqual([]);
  });
});
