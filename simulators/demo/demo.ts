import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { presetModel } from '@tributary/agent/sensors/models/presets';
import { VirtualBoard } from '../board/virtual-board.js';
import { TcpProxy } from '../link/tcp-proxy.js';
import { END_SIGNALS, endOnSignals } from '../rig/at-exit.js';
import { Observer } from '../rig/observer.js';
import { Rig } from '../rig/rig.js';
import { DemoDevice } from './demo-device.js';
import { demoMoment, demoPlan } from './demo-plan.js';
import { type DemoResult, demoResult, printResult } from './demo-result.js';
import { writeReplayTable } from './replay-table.js';
import { Vent } from './vent.js';
import { type DemoView, Screen } from './view.js';

/**
 * `npm start`: a collector and three agents on this machine, each a process of its own, with a throw-away PKI; an outage
 * before your eyes; an alert that comes back to its device, and one that the device acts upon by itself while nobody can be
 * reached; and at the end the proof that every reading is accounted for.
 */
const PICTURE_MS = 500;

/** The backlog of an outage of some seconds is gone within a moment; what is not gone by then is reported as missing. */
const DRAIN_MS = 15_000;

/** Some shells have npm pass on the Ctrl-C that the terminal has sent already; who presses it again later will not wait. */
const SAME_PRESS_MS = 500;

const RULES = {
  rules: [
    {
      name: 'greenhouse-too-warm',
      select: { name: 'temperature', device: 'greenhouse' },
      above: 35,
      clear: 32,
      severity: 'warning',
      annotations: { summary: '{{series}} of {{device}} is {{value}}' },
    },
    {
      // The device judges it and acts upon it by itself, online or not.
      name: 'greenhouse-vent',
      select: { name: 'temperature', device: 'greenhouse' },
      above: 35,
      clear: 32,
      evaluate: 'device',
      severity: 'critical',
      annotations: { summary: 'the vent opens at {{value}}' },
    },
  ],
};

const HOT = 41.5;

const USAGE = 'usage: npm start -- [--seconds N] [--json]';

function readArguments(): { seconds: number | undefined; json: boolean } {
  let values: { seconds?: string; json?: boolean; help?: boolean };
  const options = { seconds: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    return usage((error as Error).message);
  }
  if (values.help === true) {
    console.log(USAGE);
    process.exit(0);
  }
  const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
  if (seconds !== undefined && !(seconds >= 1 && seconds <= 86_400)) {
    return usage(`--seconds is ${values.seconds}; it must be a number from 1 to 86400`);
  }
  return { seconds, json: values.json === true };
}

function usage(problem: string): never {
  console.error(`error: ${problem}\n${USAGE}`);
  process.exit(2);
}

class Demo {
  private readonly startedMs = performance.now();
  private readonly events: string[] = [];
  private readonly devices: DemoDevice[] = [];
  private outages = 0;
  private readonly vent: Vent;
  private cutOff = false;

  private constructor(
    private readonly rig: Rig,
    private readonly proxy: TcpProxy,
    private readonly observer: Observer,
    private readonly board: VirtualBoard,
    private readonly seconds: number | undefined,
  ) {
    this.vent = new Vent(rig.path('vent'), rig.path('vent.log'));
  }

  static async start(rig: Rig, seconds: number | undefined, failed: (message: string) => void): Promise<Demo> {
    writeFileSync(rig.path('rules.yaml'), JSON.stringify(RULES));
    for (const name of ['greenhouse', 'pump-7', 'cellar']) await rig.device(name);
    const collector = await rig.collector({ rules: rig.path('rules.yaml') }, { onFailure: failed });
    const proxy = await TcpProxy.listen(collector.port);
    const observer = new Observer(collector.port, rig.operatorFiles);
    const board = new VirtualBoard({
      series: [
        { name: 'temperature', model: presetModel('temperature', 1, { faultsPerDay: 0 }) },
        { name: 'humidity', model: presetModel('humidity', 2, { faultsPerDay: 0 }) },
        { name: 'door', model: presetModel('door', 3) },
      ],
      format: 'json',
      intervalMs: 200,
      link: rig.path('ttyBoard'),
      nowUs: () => Date.now() * 1000,
    });
    board.plug();
    const demo = new Demo(rig, proxy, observer, board, seconds);
    writeReplayTable(rig.path('pump.csv'));
    await demo.startDevice(
      'greenhouse',
      'board on a serial port',
      failed,
      {
        type: 'serial',
        name: 'board',
        path: rig.path('ttyBoard'),
        format: 'json',
        fields: { temperature: { unit: 'Cel' }, humidity: { unit: '%' }, door: {} },
      },
      { alerts: [demo.vent.action] },
    );
    await demo.startDevice('pump-7', 'replayed recording', failed, {
      type: 'replay',
      name: 'recording',
      path: rig.path('pump.csv'),
      rebase: true,
      mode: 'loop',
    });
    await demo.startDevice('cellar', 'simulated sensors', failed, {
      type: 'simulator',
      name: 'sensors',
      interval: '250ms',
      series: [
        { name: 'temperature', model: 'temperature', unit: 'Cel' },
        { name: 'co2', model: 'co2' },
        { name: 'battery', model: 'battery' },
        { name: 'mode', model: 'machine-state' },
      ],
    });
    return demo;
  }

  private async startDevice(
    name: string,
    source: string,
    failed: (message: string) => void,
    config: Record<string, unknown>,
    settings: Record<string, unknown> = {},
  ): Promise<void> {
    const event = (text: string) => this.event(text);
    const device = new DemoDevice(name, source, this.rig.path(`${name}.sock`), event, () => this.cutOff);
    this.devices.push(device);
    const hooks = { onLog: (line: Record<string, unknown>) => device.log(line), onFailure: failed };
    // Short streams: who watches sees the buffer empty as soon as the collector has what was in it.
    const collector = { streamAge: '500ms' };
    device.child = await this.rig.agent(name, this.proxy.port, { collector, ...settings, sources: [config] }, hooks);
  }

  private get elapsedS(): number {
    return (performance.now() - this.startedMs) / 1000;
  }

  private event(text: string): void {
    this.events.push(`${this.elapsedS.toFixed(1).padStart(6)} s  ${text}`);
  }

  /** Runs until the time is over or `ended` resolves. */
  async run(screen: Screen, ended: Promise<void>): Promise<void> {
    const plan = demoPlan(this.seconds);
    let stop = false;
    void ended.then(() => {
      stop = true;
    });
    while (!stop && (this.seconds === undefined || this.elapsedS < this.seconds)) {
      const { cutOff, hot, next } = demoMoment(plan, this.elapsedS);
      this.setLink(cutOff);
      this.board.setValue('temperature', hot ? HOT : undefined);
      await this.look();
      screen.draw(this.view(next));
      await Promise.race([new Promise((resolve) => setTimeout(resolve, PICTURE_MS)), ended]);
    }
  }

  private setLink(cutOff: boolean): void {
    if (cutOff === this.cutOff) return;
    this.cutOff = cutOff;
    if (cutOff) {
      this.outages++;
      this.proxy.set({ refuse: true });
      this.proxy.cut();
      this.event('the link to the collector is cut');
    } else {
      this.proxy.heal();
      this.event('the link is back');
    }
  }

  private async look(): Promise<void> {
    const devices = await this.observer.devices();
    for (const device of this.devices) {
      device.stored = devices.find((one) => one.device === device.name)?.readingsStored ?? 0;
    }
    await Promise.all(this.devices.map((device) => device.ask()));
  }

  private view(next: string): DemoView {
    return {
      elapsedS: this.elapsedS,
      cutOff: this.cutOff,
      next,
      devices: this.devices.map((device) => device.view()),
      events: this.events,
    };
  }

  /** Brings the link back, lets the backlog drain, stops the agents, and compares what they counted with the audit. */
  async finish(): Promise<DemoResult> {
    this.setLink(false);
    this.board.unplug();
    const deadlineMs = performance.now() + DRAIN_MS;
    do {
      await new Promise((resolve) => setTimeout(resolve, PICTURE_MS / 2));
      await this.look();
    } while (this.devices.some((device) => !device.isDelivering) && performance.now() < deadlineMs);
    for (const device of this.devices) await device.child?.stop();
    const epochs = await this.observer.audit();
    const alerts = await this.observer.alerts('');
    const acted = this.devices.reduce((total, device) => total + device.actedWhileCutOff, 0);
    return demoResult(this.devices, epochs, this.outages, alerts, this.vent.done(), acted);
  }

  async close(): Promise<void> {
    this.board.unplug();
    this.observer.close();
    await this.proxy.close();
    await this.rig.close();
  }
}

const { seconds, json } = readArguments();
// With --json the one object is all that stands on the standard output.
const screen = new Screen(json ? process.stderr : process.stdout);
const ended = new Promise<void>((resolve) => {
  const beginEnd = () => {
    for (const signal of END_SIGNALS) process.off(signal, beginEnd);
    endOnSignals(SAME_PRESS_MS);
    resolve();
  };
  for (const signal of END_SIGNALS) process.on(signal, beginEnd);
});
const rig = await Rig.create('demo');
let demo: Demo | undefined;
try {
  const failure = new Promise<never>((_, reject) => {
    void Demo.start(rig, seconds, (message) => reject(new Error(message))).then((started) => {
      demo = started;
      ready();
    }, reject);
  });
  let ready!: () => void;
  const started = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const outcome = (async () => {
    await started;
    await demo!.run(screen, ended);
    return demo!.finish();
  })();
  const result = await Promise.race([outcome, failure]);
  printResult(result, json);
  process.exitCode = result.missing === 0 && result.duplicates === 0 ? 0 : 1;
} catch (error) {
  console.error(`error: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  if (demo !== undefined) await demo.close();
  else await rig.close();
}
process.exit();
