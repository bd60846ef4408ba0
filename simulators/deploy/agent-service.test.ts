import { chmodSync, copyFileSync, cpSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VirtualBoard } from '../board/virtual-board.js';
import { Observer } from '../rig/observer.js';
import { Rig } from '../rig/rig.js';
import { until } from '../rig/until.js';
import { Bundles } from './bundles.js';
import { machineNeeds, SystemdMachine } from './systemd-machine.js';

const needs = machineNeeds();
const UNIT = 'tributary-agent.service';
const dropIn = (name: string) => `/etc/systemd/system/${UNIT}.d/${name}.conf`;
/** Where install.sh puts things. */
const places = [
  '/opt',
  '/usr/local/bin',
  '/etc/systemd/system',
  '/etc/udev/rules.d',
  '/etc/sysusers.d',
  '/etc/tmpfiles.d',
  '/etc/modules-load.d',
];

/**
 * Holds the thread of a process that has written the most, which is the buffer's, as a debugger holds one: the others go on.
 * It ends with the process.
 */
const holdWriter = `
import ctypes, os, re, sys
pid = sys.argv[1]
def written(tid):
    with open(f"/proc/{pid}/task/{tid}/io") as io:
        return int(re.search(r"wchar: (\\d+)", io.read()).group(1))
threads = [tid for tid in os.listdir(f"/proc/{pid}/task") if tid != pid]
writer = int(max(threads, key=written))
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH = 16
if libc.ptrace(PTRACE_ATTACH, writer, 0, 0) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
WALL = 0x40000000
os.waitpid(writer, WALL)
print("held", flush=True)
try:
    while True:
        _, status = os.waitpid(writer, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            break
except ChildProcessError:
    pass
`;

interface Status {
  sources: { name: string; state: string; why?: string }[];
  readings: { taken: number };
  uplink: { state: string; itemsAcknowledged: number };
}

// One machine for all: each test goes on where the one before has left it, as on a device.
describe.skipIf(needs !== undefined)(
  `the agent as a service${needs === undefined ? '' : ` (skipped: ${needs})`}`,
  () => {
    let rig: Rig;
    let bundles: Bundles;
    let machine: SystemdMachine;
    let board: VirtualBoard;
    let port: number;
    let found: string;

    beforeAll(async () => {
      bundles = Bundles.make();
      rig = await Rig.create('service', bundles.program);
      await rig.device('pi');
      ({ port } = await rig.collector());
      machine = await SystemdMachine.boot();
      cpSync(bundles.of('agent'), join(machine.shared, 'bundle'), { recursive: true });
      found = await listing();
    });
    afterAll(async () => {
      board?.unplug();
      await machine?.stop();
      await rig?.close();
      bundles?.remove();
    });

    const listing = async () => {
      const find = `find ${places.join(' ')} '(' -type f -o -type l ')' 2>/dev/null || :`;
      return (await machine.exec('sh', '-c', find)).split('\n').sort().join('\n');
    };
    const status = async () =>
      JSON.parse(
        await machine.exec('tributary-agent', 'status', '--config', '/etc/tributary-agent/agent.yaml', '--json'),
      ) as Status;
    const property = (name: string) => machine.property(UNIT, name);
    const restart = () => machine.exec('sh', '-c', `systemctl daemon-reload && systemctl restart ${UNIT}`);
    const log = async (...parameters: string[]) =>
      (await machine.exec('journalctl', '-u', UNIT, '-o', 'json', '--no-pager', ...parameters))
        .split('\n')
        .filter((line) => line !== '')
        .map(
          (line) =>
            JSON.parse(line) as {
              MESSAGE: string;
              PRIORITY: string;
              SYSLOG_IDENTIFIER: string;
              TRIBUTARY_ROLE: string;
            },
        );

    it('is installed by a script on a device that knows nothing of it, and starts', async () => {
      await machine.exec('/run/shared/bundle/systemd/install.sh');
      expect(await machine.exec('id', '-nG', 'tributary-agent')).not.toContain('root');
      for (const [from, to] of [
        ['ca.pem', 'ca.pem'],
        ['device-pi.pem', 'device.pem'],
        ['device-pi-key.pem', 'device.key'],
      ]) {
        copyFileSync(rig.path(`pki/${from}`), join(machine.shared, to));
        await machine.exec('cp', `/run/shared/${to}`, `/etc/tributary-agent/tls/${to}`);
      }
      await machine.exec('systemd-tmpfiles', '--create', 'tributary-agent.conf');
      expect(await machine.exec('stat', '-c', '%a %U %G', '/etc/tributary-agent/tls/device.key')).toBe(
        '640 root tributary-agent\n',
      );

      board = new VirtualBoard({
        series: [{ name: 'temperature', model: { type: 'double', at: () => 21.5 } }],
        format: 'json',
        intervalMs: 500,
        link: rig.path('board'),
        nowUs: () => 0,
      });
      board.plug();
      const device = statSync(rig.path('board'));
      expect(device.isCharacterDevice()).toBe(true);
      // As udev's rule does it for a board.
      chmodSync(rig.path('board'), 0o666);
      await machine.write(
        '/etc/tributary-agent/agent.yaml',
        JSON.stringify({
          collector: { address: `localhost:${port}` },
          tls: { ca: 'tls/ca.pem', cert: 'tls/device.pem', key: 'tls/device.key' },
          buffer: { path: '/var/lib/tributary-agent/buffer.db' },
          sources: [
            { type: 'serial', name: 'board', path: readlinkSync(rig.path('board')), format: 'json' },
            { type: 'serial', name: 'foreign', path: '/srv/foreign', format: 'json' },
            { type: 'simulator', name: 'demo', interval: '200ms', series: [{ name: 'humidity', model: 'humidity' }] },
          ],
          health: { metrics: 'off', socket: '/run/tributary-agent/status.sock' },
        }),
      );
      // Everybody may open it, says its mode; it is no port, and would say so.
      await machine.exec('mknod', '-m', '666', '/srv/foreign', 'c', '10', '229');
      // A start that resolves is one that has said that it is ready.
      await machine.exec('systemctl', 'enable', '--now', UNIT);
      expect(await property('ActiveState')).toBe('active');
      expect(await property('StatusText')).toBe('samples');
    });

    it('runs as its user, without rights, in a file system that it cannot write to', async () => {
      const pid = await property('MainPID');
      const facts = await machine.exec('cat', `/proc/${pid}/status`);
      const uid = (await machine.exec('id', '-u', 'tributary-agent')).trim();
      expect(facts).toMatch(new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s`, 'm'));
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
        expect(facts).toMatch(new RegExp(`^${set}:\\s+0000000000000000$`, 'm'));
      }
      expect(facts).toMatch(/^NoNewPrivs:\s+1$/m);
      expect(facts).toMatch(/^Seccomp:\s+2$/m);
      const mounts = (await machine.exec('cat', `/proc/${pid}/mountinfo`)).split('\n').map((line) => line.split(' '));
      const optionsOf = (path: string) => mounts.findLast((fields) => fields[4] === path)?.[5]?.split(',');
      expect(optionsOf('/')).toContain('ro');
      expect(optionsOf('/var/lib/tributary-agent')).toContain('rw');
      expect(optionsOf('/home')).toContain('ro');
    });

    it('may open no device that the unit does not name; a pseudo-terminal it may', async () => {
      const sources = await until('the ports were tried', async () => {
        const all = (await status()).sources;
        return all.every(({ state }) => state !== 'starting') && all;
      });
      const whyNot = sources.find(({ name }) => name === 'foreign')?.why;
      expect(whyNot).toMatch(/not permitted/i);
      expect(sources.filter(({ state }) => state === 'running').map(({ name }) => name)).toEqual(['board', 'demo']);
    });

    it('brings the readings of the board to the collector', async () => {
      const observer = new Observer(port, rig.operatorFiles);
      const sums = await until('readings are stored', async () => {
        const { stored, ...others } = await observer.sums('pi');
        return stored > 10 && { stored, ...others };
      });
      expect(sums).toMatchObject({ missing: 0, doubled: 0 });
      observer.close();
    });

    it('logs into the journal with priorities and fields', async () => {
      const lines = await log();
      const sampling = lines.find(({ MESSAGE }) => MESSAGE.includes('the agent is sampling'));
      expect(sampling).toMatchObject({ PRIORITY: '6', SYSLOG_IDENTIFIER: 'tributary-agent', TRIBUTARY_ROLE: 'agent' });
      expect(JSON.parse(sampling!.MESSAGE)).toMatchObject({ level: 'info', name: 'tributary-agent' });
      const warnings = await log('-p', 'warning');
      expect(warnings.some(({ MESSAGE }) => MESSAGE.includes('a source waits'))).toBe(true);
      expect(warnings.some(({ MESSAGE }) => MESSAGE.includes('the agent is sampling'))).toBe(false);
    });

    it('reloads on SIGHUP without a new process, and says what needs a restart', async () => {
      const pid = await property('MainPID');
      const config = '/etc/tributary-agent/agent.yaml';
      await machine.exec('sed', '-i', 's/"interval":"200ms"/"interval":"100ms"/', config);
      await machine.exec('systemctl', 'reload', UNIT);
      await until('it has said so', async () =>
        (await log()).some(({ MESSAGE }) => MESSAGE.includes('"needsRestart":["sources"]')),
      );
      await until('the manager knows', async () => (await property('SubState')) === 'running');
      expect(await property('MainPID')).toBe(pid);
    });

    it('keeps the watchdog quiet while there is no network, and no collector', async () => {
      await machine.write(dropIn('watchdog'), '[Service]\nWatchdogSec=3s\n');
      await restart();
      const before = await property('NRestarts');
      await rig.latest('collector')!.stop();
      await until('it is without a collector', async () => (await status()).uplink.state === 'waiting');
      const from = Number(await property('WatchdogTimestampMonotonic'));
      // Four times what the manager waits.
      await until(
        'signs of life come',
        async () => Number(await property('WatchdogTimestampMonotonic')) - from > 12_000_000,
      );
      expect(await property('NRestarts')).toBe(before);
      expect(await property('StatusText')).toMatch(/^uplink \w+, \d+ readings wait$/);
    });

    it('is killed and started again when its loop stands still', async () => {
      const pid = await property('MainPID');
      await machine.exec('kill', '-STOP', pid);
      await until('it was started again', async () => {
        const now = await property('MainPID');
        return now !== '0' && now !== pid && (await property('ActiveState')) === 'active';
      });
      expect(Number(await property('NRestarts'))).toBe(1);
      await until('it samples', async () => (await status()).readings.taken > 0);
    });

    it('is killed and started again when the thread of its buffer hangs, though everything else gets on', async () => {
      const pid = await property('MainPID');
      const restarts = Number(await property('NRestarts'));
      await machine.write('/srv/hold.py', holdWriter);
      const held = machine.exec('python3', '/srv/hold.py', pid);
      await until('it was started again', async () => Number(await property('NRestarts')) === restarts + 1);
      expect((await held).trim()).toBe('held');
      const why = (await log()).filter(({ MESSAGE }) => MESSAGE.includes('the buffer thread has not answered'));
      expect(why.length).toBeGreaterThan(0);
      expect(why[0].PRIORITY).toBe('4');
      await until('it samples', async () => (await status()).readings.taken > 0);
    });

    it('stops in order, and leaves nothing behind but configuration and readings', async () => {
      await machine.exec('systemctl', 'stop', UNIT);
      expect(await property('Result')).toBe('success');
      expect(await property('ExecMainStatus')).toBe('0');
      await machine.exec('rm', '-r', `/etc/systemd/system/${UNIT}.d`);
      await machine.exec('/run/shared/bundle/systemd/install.sh', '--undo');
      expect(await listing()).toBe(found);
      expect(await machine.exec('ls', '/etc/tributary-agent')).toContain('agent.yaml');
      expect(await machine.exec('ls', '/var/lib/tributary-agent')).toContain('buffer.db');
    });
  },
);
