import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../rig/until.js';

const run = promisify(execFile);

/** systemd itself, as Debian and its kin have it. */
const SYSTEMD = '/lib/systemd/systemd';

const NAMESPACES = ['--mount', '--pid', '--fork', '--cgroup', '--ipc', '--uts', '--kill-child'];

/** A command in the machine may take this long; a stop of the agent takes up to 22 s. */
const COMMAND_MS = 60_000;

/**
 * Makes a machine of this one's files and becomes its first process: an overlay, so that nothing that is installed in it
 * stays; devices are this machine's own, so that a pseudo-terminal made outside is there.
 */
const boot = `
set -e
mount --make-rprivate /
base=$1; shared=$2
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/shared old
mount --bind "$shared" run/shared
mkdir -p run/systemd/system
printf '[Unit]\\nDescription=machine of a test\\nDefaultDependencies=no\\nRequires=systemd-journald.service\\nAfter=systemd-journald.service\\n' \\
  > run/systemd/system/machine.target
pivot_root . old
umount -l /old
export container=tributary
exec ${SYSTEMD} --system --unit=machine.target --show-status=no --log-target=null
`;

/** Why there can be no such machine here; undefined where there can. */
export function machineNeeds(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'not root on Linux';
  if (spawnSync(SYSTEMD, ['--version']).status !== 0) return 'systemd is not installed';
  if (spawnSync('python3', ['--version']).status !== 0) return 'python3 is not there';
  if (unifiedHierarchy() === undefined) return 'no cgroup2 file system is mounted';
  const tried = spawnSync('unshare', [...NAMESPACES, 'mount', '-t', 'cgroup2', 'cgroup2', '/mnt']);
  return tried.status === 0 ? undefined : 'namespaces cannot be made here';
}

function unifiedHierarchy(): string | undefined {
  const line = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((one) => one.split(' ')[2] === 'cgroup2');
  return line?.split(' ')[1];
}

/**
 * A machine with systemd as its first process, in namespaces of this one: units run as they would on a device, with their
 * users, sandboxes, watchdogs and journal. Its network is this machine's.
 */
export class SystemdMachine {
  /** Seen in the machine as `/run/shared`. */
  readonly shared: string;
  readonly #base: string;
  readonly #cgroup: string;
  #host: ChildProcess | undefined;
  #pid = 0;

  private constructor() {
    this.#base = mkdtempSync(join(tmpdir(), 'machine-'));
    this.shared = mkdtempSync(join(tmpdir(), 'machine-shared-'));
    this.#cgroup = join(unifiedHierarchy()!, `tributary-machine-${process.pid}`);
  }

  static async boot(): Promise<SystemdMachine> {
    const machine = new SystemdMachine();
    try {
      await machine.#boot();
      return machine;
    } catch (error) {
      await machine.stop();
      throw error;
    }
  }

  async #boot(): Promise<void> {
    mkdirSync(this.#cgroup, { recursive: true });
    const script = join(this.shared, 'boot.sh');
    writeFileSync(script, boot);
    // The namespace of cgroups begins where its maker is.
    const enter = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"';
    const arguments_ = ['-c', enter, 'enter', this.#cgroup, 'unshare', ...NAMESPACES];
    this.#host = spawn('bash', [...arguments_, 'bash', script, this.#base, this.shared], {
      stdio: 'ignore',
    });
    await until('systemd has begun', async () => {
      const children = readFileSync(`/proc/${this.#host!.pid}/task/${this.#host!.pid}/children`, 'utf8').trim();
      this.#pid = Number(children.split(' ')[0]);
      return this.#pid > 0 && (await this.exec('systemctl', 'is-active', 'machine.target')).trim() === 'active';
    });
  }

  /** Runs a command in the machine, as root, and answers what it prints; rejects when it fails. */
  async exec(command: string, ...parameters: string[]): Promise<string> {
    const enter = ['-t', String(this.#pid), '-m', '-p', '-C', '-i', '-u', '-r', '-w', '--', command, ...parameters];
    const { stdout } = await run('nsenter', enter, {
      timeout: COMMAND_MS,
      env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    return stdout;
  }

  /** Writes a file in the machine. */
  async write(path: string, text: string): Promise<void> {
    const name = `write-${Math.random().toString(36).slice(2)}`;
    writeFileSync(join(this.shared, name), text);
    await this.exec('install', '-D', '-m', '644', `/run/shared/${name}`, path);
  }

  /** A property of a unit, as `systemctl show` has it. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.exec('systemctl', 'show', '--value', '-p', name, unit)).trim();
  }

  /** Ends everything in it; nothing of it is left. */
  async stop(): Promise<void> {
    if (this.#pid > 0) spawnSync('kill', ['-KILL', String(this.#pid)]);
    if (this.#host !== undefined && this.#host.exitCode === null && this.#host.signalCode === null) {
      await new Promise((resolve) => this.#host!.once('exit', resolve));
    }
    removeGroups(this.#cgroup);
    rmSync(this.#base, { recursive: true, force: true });
    rmSync(this.shared, { recursive: true, force: true });
  }
}

/** A group of processes is removed like a folder, from the leaves; one that still ends a process is left. */
function removeGroups(group: string): void {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true })) {
      if (entry.isDirectory()) removeGroups(join(group, entry.name));
    }
    rmdirSync(group);
  } catch {
    // Empty groups cost nothing.
  }
}

/** The version of systemd here. */
export function systemdVersion(): number {
  return Number(/systemd (\d+)/.exec(execFileSync(SYSTEMD, ['--version']).toString())?.[1]);
}
