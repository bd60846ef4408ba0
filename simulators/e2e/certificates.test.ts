import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FleetDevice } from '../fleet/fleet-device.js';
import { prepareWorkload } from '../fleet/workload.js';
import { Observer } from '../rig/observer.js';
import { Rig } from '../rig/rig.js';
import { runProgram } from './run-program.js';
import { Scene } from './scene.js';

let scene: Scene;

beforeEach(async () => {
  scene = await Scene.open('certs');
  for (const name of ['mine', 'other']) await scene.rig.device(name);
});

afterEach(() => scene.close());

const sensors = {
  type: 'simulator',
  name: 'sensors',
  interval: '20ms',
  series: [{ name: 'temperature', model: 'temperature' }],
};

/** An uplink of a few hundred readings that speaks with any certificate. */
function uplink(files: { ca: string; cert: string; key: string }): FleetDevice {
  const epoch = new Uint8Array(randomBytes(16));
  const workload = prepareWorkload({
    seed: 1,
    epoch,
    batchReadings: 100,
    batches: 3,
    series: 2,
    intervalUs: 1000,
    startUs: Date.now() * 1000,
  });
  return new FleetDevice(`127.0.0.1:${scene.collectorPort}`, loadTlsFiles(files), epoch, workload);
}

describe('certificates', () => {
  it('of a device of another CA open no connection, and the agent says why and keeps its readings', async () => {
    const foreign = await Rig.create('foreign');
    try {
      await foreign.device('mine');
      const { cert, key } = foreign.tlsFiles('device-mine');
      const { ca } = scene.rig.tlsFiles('device-mine');
      await scene.agent('mine', [sensors], { tls: { ca, cert, key } });
      const { uplink: state } = await scene.untilStatus(
        'mine',
        'the connection is refused',
        ({ uplink, buffer }) => uplink.connectFailures > 0 && buffer.readings > 5,
      );
      expect(state).toMatchObject({ registrations: 0, itemsAcknowledged: 0 });
      const [told] = scene.log('mine').filter(({ remedy }) => remedy !== undefined);
      expect(told!.msg).toContain("it may have refused this side's certificate");
      expect(told!.remedy).toContain('check tls.ca, tls.cert');
      expect(await scene.observer.sums()).toMatchObject({ epochs: 0, stored: 0 });
      // With its own certificate it brings what it has kept.
      const produced = await scene.settle('mine');
      expect(await scene.observer.sums()).toMatchObject({ produced, stored: produced, missing: 0 });
    } finally {
      await foreign.close();
    }
  });

  it('of a CA that the agent does not know make it turn away from the collector', async () => {
    const foreign = await Rig.create('foreign');
    try {
      const { cert, key } = scene.rig.tlsFiles('device-mine');
      await scene.agent('mine', [sensors], { tls: { ca: foreign.tlsFiles('server').ca, cert, key } });
      await scene.untilStatus('mine', 'no connection comes about', ({ uplink }) => uplink.connectFailures > 0);
      const [told] = scene.log('mine').filter(({ remedy }) => remedy !== undefined);
      expect(told).toMatchObject({ remedy: "put the CA that issued the collector's certificate into tls.ca" });
    } finally {
      await foreign.close();
    }
  });

  it('of an operator neither register nor upload', async () => {
    const operator = uplink(scene.rig.operatorFiles);
    const denied = { code: status.PERMISSION_DENIED, details: expect.stringContaining('only a device may do this') };
    await expect(operator.register()).rejects.toMatchObject(denied);
    await expect(operator.send()).rejects.toMatchObject(denied);
    operator.close();
    expect(await scene.observer.sums()).toMatchObject({ epochs: 0, stored: 0 });
  });

  it('of an operator let no agent start: it is told so, with the place and the remedy', async () => {
    const config = scene.rig.agentConfig('mine', scene.collectorPort, {
      sources: [sensors],
      tls: scene.rig.operatorFiles,
    });
    const ended = await runProgram('agent', ['run', '--config', config], scene.rig.folder);
    expect(ended.code).toBe(2);
    expect(ended.err).toContain('tls.cert: ');
    expect(ended.err).toContain('it names an operator, and a device is needed');
    expect(await scene.observer.sums()).toMatchObject({ epochs: 0, stored: 0 });
  });

  it('of a device read that device and no other', async () => {
    for (const name of ['mine', 'other']) {
      const device = uplink(scene.rig.tlsFiles(`device-${name}`));
      await device.register();
      await device.send();
      device.close();
    }
    const mine = new Observer(scene.collectorPort, scene.rig.tlsFiles('device-mine'));
    try {
      const denied = { code: status.PERMISSION_DENIED };
      await expect(mine.readings('other')).rejects.toMatchObject(denied);
      await expect(mine.audit('other')).rejects.toMatchObject(denied);
      await expect(mine.alerts('other')).rejects.toMatchObject(denied);
      expect((await mine.audit()).map(({ device }) => device)).toEqual(['mine']);
      expect((await mine.readings('mine')).size).toBe(2);
      expect(await scene.observer.sums()).toMatchObject({ epochs: 2, stored: 600, missing: 0, doubled: 0 });
    } finally {
      mine.close();
    }
  });
});
