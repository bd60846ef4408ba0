import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** What stands for a base image: the programs and libraries of this machine, and its Node wherever that is. */
const programs = ['usr', 'bin', 'sbin', 'lib', 'lib64'];
const settings = ['passwd', 'group', 'hosts', 'resolv.conf', 'nsswitch.conf', 'ld.so.cache', 'ssl', 'alternatives'];

/** Enters a root: what stands for the image read-only, devices, processes, and `$mounts` as lines of `mount` arguments. */
const enter = `
set -e
mount --make-rprivate /
root=$1; mounts=$2; readonly=$3; shift 3
mount --bind "$root" "$root"
for folder in ${programs.join(' ')} $NODE_PREFIX; do
  if [ -d "$root/$folder" ] && [ ! -L "$root/$folder" ]; then mount --rbind -o ro "/$folder" "$root/$folder"; fi
done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
printf '%s' "$mounts" | while read -r line; do [ -z "$line" ] || eval "mount $line"; done
[ "$readonly" = no ] || mount -o remount,bind,ro "$root"
exec chroot "$@"
`;

export interface RunOptions {
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** As `UID:GID`; root where it is absent. */
  user?: string;
  /** Further mounts, as arguments of `mount` with `$root` in the target. */
  mounts?: readonly string[];
  isReadOnly?: boolean;
}

/** A root file system as an image has it, in a folder; commands run in namespaces of their own in it. */
export class ImageRoot {
  readonly folder: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'image-'));
    // Of an image everybody may see the root.
    chmodSync(this.folder, 0o755);
    for (const name of programs) {
      if (!existsSync(`/${name}`)) continue;
      if (lstatSync(`/${name}`).isSymbolicLink()) symlinkSync(readlinkSync(`/${name}`), join(this.folder, name));
      else mkdirSync(join(this.folder, name));
    }
    for (const name of ['dev', 'proc', 'etc', 'root', 'tmp', 'mnt', nodePrefix])
      mkdirSync(join(this.folder, name), { recursive: true });
    for (const name of settings) {
      if (existsSync(`/etc/${name}`))
        cpSync(`/etc/${name}`, join(this.folder, 'etc', name), { recursive: true, verbatimSymlinks: true });
    }
  }

  path(inside: string): string {
    return join(this.folder, inside);
  }

  /** Runs a command to its end. Throws with what it printed when it fails. */
  run(words: readonly string[], options: RunOptions): void {
    const { status, stdout, stderr } = spawnSync('unshare', this.#arguments(words, options), {
      env: environment(options),
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`${words.join(' ')}: ended with ${status}\n${stdout}\n${stderr}`);
  }

  /** Starts a command. Killing what is answered kills it and all its children. */
  start(words: readonly string[], options: RunOptions): ChildProcess {
    return spawn('unshare', this.#arguments(words, options), {
      env: environment(options),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  #arguments(words: readonly string[], { cwd, user, mounts = [], isReadOnly = false }: RunOptions): string[] {
    const inRoot = ['/bin/sh', '-c', 'cd "$0" && exec "$@"', cwd, ...words];
    return [
      ...['--mount', '--pid', '--fork', '--ipc', '--kill-child=SIGTERM', 'bash', '-c', enter, 'enter'],
      ...[this.folder, `${mounts.join('\n')}\n`, isReadOnly ? 'yes' : 'no'],
      ...(user === undefined ? [] : [`--userspec=${user}`]),
      ...[this.folder, ...inRoot],
    ];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Where this Node lies if it is not below /usr, as a path in a root. */
const nodePrefix = process.execPath.startsWith('/usr/') ? '' : dirname(dirname(process.execPath)).slice(1);

function environment({ env }: RunOptions): Record<string, string> {
  const path = `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  return { HOME: '/root', PATH: path, NODE_PREFIX: nodePrefix, ...env };
}

/** Why roots cannot be made here; undefined where they can. */
export function rootNeeds(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'not root on Linux';
  const tried = spawnSync('unshare', ['--mount', '--pid', '--fork', '--ipc', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  return tried.status === 0 ? undefined : 'namespaces cannot be made here';
}
