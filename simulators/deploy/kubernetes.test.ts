import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readStatus } from '@tributary/agent/health/status-socket';
import { SHUT_DOWN_MS_MAX } from '@tributary/collector/server/shut-down';
import * as apps from 'kubernetes-models/apps/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import * as core from 'kubernetes-models/v1';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runProgram } from '../e2e/run-program.js';
import { Rig, root } from '../rig/rig.js';
import { until } from '../rig/until.js';
import { freePort } from './free-port.js';
import { type KubernetesObject, kubectls, render } from './kubectl.js';

const found = kubectls();
const folders = ['base', 'example', 'example-monitoring'];
const dockerfile = readFileSync(join(root, 'deploy/docker/Dockerfile'), 'utf8');

/** The API's schemas, by kind. */
const models: Record<string, new (data: never) => { validate(): void }> = {
  ConfigMap: core.ConfigMap,
  Namespace: core.Namespace,
  NetworkPolicy: networking.NetworkPolicy,
  PodDisruptionBudget: policy.PodDisruptionBudget,
  Service: core.Service,
  ServiceAccount: core.ServiceAccount,
  StatefulSet: apps.StatefulSet,
};

function only(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const all = objects.filter((object) => object.kind === kind);
  expect(all).toHaveLength(1);
  return all[0];
}

it.skipIf(found.length === 0)('there is a kubectl to render with', () => {
  expect(found).toContain('kubectl');
});

describe('the Kustomize files', () => {
  it('use only what an old Kustomize and the current one both take', () => {
    const taken = ['apiVersion', 'kind', 'namespace', 'bases', 'resources', 'patchesStrategicMerge', 'images'];
    for (const folder of folders) {
      const file = join(root, 'deploy/kubernetes', folder, 'kustomization.yaml');
      const keys = Object.keys(parse(readFileSync(file, 'utf8')) as object);
      expect(keys.filter((key) => !taken.includes(key))).toEqual([]);
    }
  });
});

describe.each(found)('rendered by %s', (kubectl) => {
  const objects = new Map(folders.map((folder) => [folder, render(kubectl, folder)]));
  const base = objects.get('base')!;
  const example = objects.get('example')!;
  const pod = only(base, 'StatefulSet').spec.template.spec;
  const container = pod.containers[0];
  const selects = { 'app.kubernetes.io/name': 'tributary-collector' };

  it('every object is one that the API takes', () => {
    for (const object of [...objects.values()].flat()) {
      const Model = models[object.kind];
      // A resource of an operator: the API has no schema of it by itself.
      if (object.kind === 'ServiceMonitor') continue;
      expect(Model, object.kind).toBeDefined();
      expect(() => new Model(object as never).validate(), `${object.kind} ${object.metadata.name}`).not.toThrow();
    }
    const broken = structuredClone(only(base, 'StatefulSet'));
    broken.spec.replicas = 'one';
    expect(() => new apps.StatefulSet(broken as never).validate()).toThrow(/replicas/);
  });

  it('there is one collector, with a volume of its own', () => {
    const { spec } = only(base, 'StatefulSet');
    expect(spec.replicas).toBe(1);
    expect(spec.selector.matchLabels).toEqual(selects);
    expect(spec.template.metadata.labels).toMatchObject(selects);
    expect(base.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.name)).toContain(
      spec.serviceName,
    );
    const [claim] = spec.volumeClaimTemplates;
    expect(claim.spec.accessModes).toEqual(['ReadWriteOnce']);
    expect(container.volumeMounts).toContainEqual({ name: claim.metadata.name, mountPath: '/var/lib/tributary' });
  });

  it('it runs restricted: not as root, with nothing to gain, on a root that it cannot write', () => {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 1000,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(only(base, 'ServiceAccount').automountServiceAccountToken).toBe(false);
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC', 'initContainers']) expect(pod[field]).toBeUndefined();
    // The same user as the image's.
    expect(dockerfile).toContain(`USER ${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`);
    expect(pod.volumes.some((volume: object) => 'hostPath' in volume)).toBe(false);
  });

  it('it has the memory that was measured, and the settings of the image', () => {
    expect(container.resources).toEqual({ requests: { cpu: '250m', memory: '448Mi' }, limits: { memory: '1Gi' } });
    const env = container.env.map(({ name, value }: { name: string; value: string }) => `${name}=${value}`);
    for (const pair of env) expect(dockerfile).toContain(pair);
  });

  it('it is probed over plain HTTP, and has time to end in order', () => {
    expect(container.startupProbe.httpGet).toEqual({ path: '/healthz', port: 'health' });
    expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'health' });
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'health' });
    const waits = Number(/(\d+)\)$/.exec(container.lifecycle.preStop.exec.command.at(-1))?.[1]);
    expect(waits).toBeGreaterThanOrEqual(2 * 1000 * container.readinessProbe.periodSeconds);
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(waits + SHUT_DOWN_MS_MAX + 5000);
    expect(container.startupProbe.periodSeconds * container.startupProbe.failureThreshold).toBeGreaterThanOrEqual(600);
  });

  it('keys come by reference', () => {
    const { secret } = pod.volumes.find(({ name }: { name: string }) => name === 'tls');
    expect(secret).toEqual({ secretName: 'tributary-collector-tls', defaultMode: 0o440 });
    expect(pod.securityContext.fsGroup).toBe(pod.securityContext.runAsGroup);
    expect(container.volumeMounts).toContainEqual({ name: 'tls', mountPath: '/etc/tributary-tls', readOnly: true });
    expect([...objects.values()].flat().filter(({ kind }) => kind === 'Secret')).toEqual([]);
  });

  it('devices come in over TCP, operators inside; whoever else is kept out', () => {
    const ports = Object.fromEntries(
      container.ports.map((port: { name: string; containerPort: number }) => [port.name, port.containerPort]),
    );
    expect(ports).toEqual({ grpc: 4443, health: 9465 });
    for (const service of base.filter(({ kind }) => kind === 'Service')) {
      expect(service.spec.selector).toEqual(selects);
      for (const port of service.spec.ports) {
        expect(port.protocol).toBe('TCP');
        expect(Object.keys(ports)).toContain(port.targetPort);
        expect(port.appProtocol).toBeUndefined();
      }
    }
    const devices = example.find(({ metadata }) => metadata.name === 'tributary-devices')!;
    expect(devices.spec).toMatchObject({ type: 'LoadBalancer', externalTrafficPolicy: 'Local' });
    expect(devices.spec.ports.map(({ port }: { port: number }) => port)).toEqual([4443]);
    const { spec } = only(base, 'NetworkPolicy');
    expect(spec.podSelector.matchLabels).toEqual(selects);
    expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
    expect(spec.egress ?? []).toEqual([]);
    const open = spec.ingress.filter(({ from }: { from?: unknown }) => from === undefined);
    expect(open.flatMap((rule: { ports: { port: number }[] }) => rule.ports.map(({ port }) => port))).toEqual([4443]);
  });

  it('a drain of its node is not blocked', () => {
    const { spec } = only(base, 'PodDisruptionBudget');
    expect(spec).toEqual({ maxUnavailable: 1, selector: { matchLabels: selects } });
  });

  it('the example is in a namespace that refuses more, and monitoring is an addition', () => {
    for (const object of example) {
      if (object.kind !== 'Namespace') expect(object.metadata.namespace, object.metadata.name).toBe('tributary');
    }
    expect(only(example, 'Namespace').metadata.labels).toMatchObject({
      'pod-security.kubernetes.io/enforce': 'restricted',
    });
    expect(example.some(({ kind }) => kind === 'ServiceMonitor')).toBe(false);
    const monitored = objects.get('example-monitoring')!;
    const monitor = only(monitored, 'ServiceMonitor');
    const chosen = monitored.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(monitor.spec.selector.matchLabels).every(([name, value]) => metadata.labels?.[name] === value),
    );
    expect(chosen.map(({ metadata }) => metadata.name)).toEqual(['tributary-operators']);
    expect(chosen[0].spec.ports.map(({ name }: { name: string }) => name)).toContain(monitor.spec.endpoints[0].port);
  });

  it.each(['base', 'example'])('the configuration in %s is one that the collector takes', async (folder) => {
    const rig = await Rig.create('kubernetes');
    try {
      const { data } = only(objects.get(folder)!, 'ConfigMap') as unknown as { data: Record<string, string> };
      const home = rig.path('mounted');
      mkdirSync(home);
      const { ca, cert, key } = rig.tlsFiles('server');
      const local = data['collector.yaml']
        .replace('/etc/tributary-tls/ca.crt', ca)
        .replace('/etc/tributary-tls/tls.crt', cert)
        .replace('/etc/tributary-tls/tls.key', key)
        .replace(/trustDomain: .*/, 'trustDomain: rig.test');
      writeFileSync(join(home, 'collector.yaml'), local);
      writeFileSync(join(home, 'rules.yaml'), data['rules.yaml']);
      const ended = await runProgram('collector', ['validate', '--config', join(home, 'collector.yaml')], home);
      expect(ended).toMatchObject({ code: 0, err: '' });
      const { store, health, listen } = parse(data['collector.yaml']);
      expect(store.sqlite.path).toMatch(/^\/var\/lib\/tributary\//);
      expect([listen, health.listen]).toEqual(['0.0.0.0:4443', '0.0.0.0:9465']);
    } finally {
      await rig.close();
    }
  });
});

describe('a collector that is told to end', () => {
  let rig: Rig;
  afterEach(() => rig.close());

  it('is not ready any more before it drains, while it still answers who probes it', async () => {
    rig = await Rig.create('draining');
    await rig.device('pi');
    const healthPort = await freePort();
    const { port, child } = await rig.collector({ health: { listen: `127.0.0.1:${healthPort}` } });
    const source = {
      type: 'simulator',
      name: 'demo',
      interval: '200ms',
      series: [{ name: 'humidity', model: 'humidity' }],
    };
    const agent = await rig.agent('pi', port, { sources: [source] });
    await until('it uploads', async () => (await readStatus(rig.path('pi.sock'))).uplink.itemsAcknowledged > 0);
    const ready = async () => {
      const answer = await fetch(`http://127.0.0.1:${healthPort}/readyz`);
      return `${answer.status} ${(await answer.text()).trim()}`;
    };
    expect(await ready()).toBe('200 ready');
    // A device that stands still holds its connection open: the end takes as long as calls may take.
    agent.signal('SIGSTOP');
    try {
      const stopped = child.stop();
      await until('it says that it is not ready', async () => (await ready()) === '503 stopping');
      expect((await fetch(`http://127.0.0.1:${healthPort}/healthz`)).status).toBe(200);
      expect(await stopped).toBe(0);
    } finally {
      agent.signal('SIGCONT');
    }
  });
});
