import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../rig/rig.js';
import { until } from '../rig/until.js';
import { Bundles } from './bundles.js';
import { freePort } from './free-port.js';
import { machineNeeds, SystemdMachine } from './systemd-machine.js';

const needs = machineNeeds();

/** The blocks of the document that have a name, by it. */
function blocks(): Map<string, string> {
  const text = readFileSync(join(root, 'docs/OPERATING.md'), 'utf8');
  return new Map([...text.matchAll(/^```sh ([\w-]+)\n([\s\S]*?)^```$/gm)].map(([, name, body]) => [name, body]));
}

describe('the document', () => {
  it('has the blocks that are rehearsed, and no other', () => {
    expect([...blocks().keys()]).toEqual([
      'one-machine-collector',
      'one-machine-agent',
      'one-machine-look',
      'backup',
      'restore',
    ]);
  });
});

// A newcomer's machine: the blocks in their order, in one folder.
describe.skipIf(needs !== undefined)(`who follows it${needs === undefined ? '' : ` (skipped: ${needs})`}`, () => {
  let bundles: Bundles;
  let machine: SystemdMachine;
  let ports: [string, string][];

  beforeAll(async () => {
    bundles = Bundles.make();
    machine = await SystemdMachine.boot();
    const home = join(machine.shared, 'home');
    mkdirSync(home);
    for (const name of ['agent', 'collector'] as const) cpSync(bundles.of(name), join(home, name), { recursive: true });
    // The machine has this one's network, in which the usual ports may be taken.
    ports = [['localhost:4443', `localhost:${await freePort()}`]];
  });
  afterAll(async () => {
    await machine?.stop();
    bundles?.remove();
  });

  const follow = (name: string): Promise<string> => {
    let body = blocks().get(name)!;
    for (const [from, to] of ports) body = body.replaceAll(from, to);
    body = body.replaceAll(/^(store: .*)$/gm, '$1\nhealth: { listen: "127.0.0.1:0" }');
    body = body.replaceAll('health: { socket:', 'health: { metrics: "off", socket:');
    return machine.exec('sh', '-e', '-c', `cd /run/shared/home\n${body}`);
  };
  /** What an audit says; it fails while something is missing, and says so all the same. */
  const audit = () =>
    machine.exec('sh', '-c', 'cd /run/shared/home; tributary-collector audit --config operator.yaml 2>&1 || :');
  const stored = async () => Number(/= stored (\d+)/.exec(await audit())?.[1] ?? 0);

  it('sees readings arrive, from the agent in its sandbox to the collector', async () => {
    await follow('one-machine-collector');
    await until('the collector takes readings', async () =>
      (await machine.exec('cat', '/run/shared/home/collector.log')).includes('takes readings'),
    );
    const status = await follow('one-machine-agent');
    expect(status).toContain('spiffe://home.example/device/pi');
    await until('readings are stored', async () => (await stored()) > 10);
    expect(await follow('one-machine-look')).toMatch(/temperature/);
  });

  it('has them again after the store was lost', async () => {
    expect(await follow('backup')).toMatch(/backup\.db: /);
    const before = await stored();
    await follow('restore');
    await until('the collector takes readings again', async () => (await stored()) > before);
    expect(await machine.property('tributary-agent.service', 'NRestarts')).toBe('0');
  });
});
