import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readStatus } from '@tributary/agent/health/status-socket';
import type { Child } from '@tributary/simulators/rig/child';
import { programFile, Rig } from '@tributary/simulators/rig/rig';
import { until } from '@tributary/simulators/rig/until';
import { readProcessUsage } from '../process-usage.js';
import { type Figures, numberOption, type Trial } from '../trial.js';

/** Sensors that a small device has, polled together. */
const MODELS = ['temperature', 'humidity', 'pressure', 'co2', 'vibration', 'battery'] as const;
const SERIES = 10;

/** An agent runs for months: before it is measured it runs for this part of the time, in which Node still compiles. */
const WARM_UP_SHARE = 0.5;

const UPLINK_MS_MAX = 30_000;

/** What the agent costs the device that it runs on: memory, processor, flash and start, beside a Node that does nothing. */
export const trial: Trial = {
  options: {
    rate: 'readings a second, default 1000',
    seconds: 'how long to measure, after half as long to settle; default 60',
    starts: 'starts of the agent and of a bare Node, of which the median counts, default 5',
    bundles: 'folder of what npm run bundle made, to run instead of the workspace',
    'device-rules': 'rules that the device judges itself on each of its ten series, default 0',
    'cpu-profile': 'folder for a processor profile of the agent',
  },
  async run(options): Promise<Figures> {
    const rate = numberOption(options, 'rate', 1000);
    const seconds = numberOption(options, 'seconds', 60);
    const starts = numberOption(options, 'starts', 5);
    const rules = numberOption(options, 'device-rules', 0);
    const profile = options['cpu-profile'];
    const { bundles } = options;
    const rig = await Rig.create(
      'agent',
      typeof bundles === 'string' ? (name) => join(bundles, name, 'bin', `tributary-${name}.mjs`) : programFile,
    );
    try {
      writeFileSync(rig.path('rules.yaml'), deviceRules(rules));
      const { port } = await rig.collector({ rules: rig.path('rules.yaml') });
      const config = { sources: [simulator(rate)] };
      const startsMs: number[] = [];
      const bareStartsMs: number[] = [];
      for (let at = 0; at < starts; at++) {
        const bare = await BareNode.start();
        bareStartsMs.push(bare.startMs);
        await bare.stop();
        const started = await startAgent(rig, `start-${at}`, port, config);
        startsMs.push(started.startMs);
        await started.agent.stop();
      }

      const bare = await BareNode.start();
      const nodeArgs = typeof profile === 'string' ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [];
      const { agent } = await startAgent(rig, 'steady', port, config, nodeArgs);
      const socket = rig.path('steady.sock');
      await until(
        'the agent has uploaded',
        async () => {
          const status = await readStatus(socket).catch(() => undefined);
          return (status?.uplink.itemsAcknowledged ?? 0) > 0 && (status?.rules?.watched ?? 0) === rules * SERIES;
        },
        UPLINK_MS_MAX,
      );
      await sleep(seconds * WARM_UP_SHARE * 1000);
      const used = await measure(agent.pid, socket, seconds);
      const bareNodeRssMb = megabytes(readProcessUsage(bare.pid).rssBytes);
      await bare.stop();
      if ((await agent.stop()) !== 0) throw new Error('the agent did not stop in order');
      const { rssMb, ...rates } = used;
      return {
        rssMb,
        bareNodeRssMb,
        ...rates,
        startMs: Math.round(median(startsMs)),
        bareNodeStartMs: Math.round(median(bareStartsMs)),
      };
    } finally {
      await rig.close();
    }
  },
};

/** Rules that never fire: limits, windows and absence in turn, as many for each series. */
function deviceRules(count: number): string {
  const conditions = [
    { above: 1e9 },
    { window: { function: 'avg', over: '1m' }, above: 1e9 },
    { absent: '1h' },
    { rate: { over: '10s' }, above: 1e9 },
  ];
  const rules = Array.from({ length: count }, (_, at) => ({
    name: `rule-${at}`,
    select: { name: '*' },
    evaluate: 'device',
    ...conditions[at % conditions.length],
  }));
  return JSON.stringify({ rules });
}

function simulator(rate: number): Record<string, unknown> {
  const series = Array.from({ length: SERIES }, (_, at) => {
    const model = MODELS[at % MODELS.length]!;
    return { name: `${model}-${at}`, model };
  });
  return {
    type: 'simulator',
    name: 'sensors',
    interval: `${Math.max(1, Math.round((SERIES * 1000) / rate))}ms`,
    series,
  };
}

async function startAgent(
  rig: Rig,
  name: string,
  port: number,
  config: Record<string, unknown>,
  nodeArgs: readonly string[] = [],
): Promise<{ agent: Child; startMs: number }> {
  await rig.device(name);
  const fromMs = performance.now();
  const agent = await rig.agent(name, port, config, {}, nodeArgs);
  return { agent, startMs: performance.now() - fromMs };
}

interface Used {
  rssMb: number;
  cpuPercent: number;
  cpuMicrosPerReading: number;
  bytesWrittenPerReading: number;
}

async function measure(pid: number, socket: string, seconds: number): Promise<Used> {
  const takenBefore = (await readStatus(socket)).readings.taken;
  const before = readProcessUsage(pid);
  const fromMs = performance.now();
  await sleep(seconds * 1000);
  const after = readProcessUsage(pid);
  const elapsedSeconds = (performance.now() - fromMs) / 1000;
  const readings = (await readStatus(socket)).readings.taken - takenBefore;
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds;
  return {
    rssMb: megabytes(after.rssBytes),
    cpuPercent: rounded((100 * cpuSeconds) / elapsedSeconds),
    cpuMicrosPerReading: rounded((1e6 * cpuSeconds) / readings),
    bytesWrittenPerReading: rounded((after.writtenBytes - before.writtenBytes) / readings),
  };
}

/** A Node that has printed a line and does nothing more. */
class BareNode {
  private constructor(
    readonly pid: number,
    readonly startMs: number,
    readonly stop: () => Promise<void>,
  ) {}

  static start(): Promise<BareNode> {
    const fromMs = performance.now();
    const child = spawn(process.execPath, ['-e', 'console.log("ready"); setInterval(() => {}, 1e9)'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.stdout.once('data', () => {
        const stop = () =>
          new Promise<void>((ended) => {
            child.once('exit', () => ended());
            child.kill();
          });
        resolve(new BareNode(child.pid!, performance.now() - fromMs, stop));
      });
    });
  }
}

function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e5) / 10;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
