import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Need } from './fault.js';

const looks: Record<Need, () => string | undefined> = {
  linux: () => (process.platform === 'linux' ? undefined : 'needs Linux'),
  root: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
  loop: () => (existsSync('/dev/loop-control') && runs('mkfs.ext4', '-V') ? undefined : 'needs loop devices and ext4'),
  tmpfs: () => (mounts() ? undefined : 'needs to mount a tmpfs'),
  cgroup: () => (existsSync('/sys/fs/cgroup/cgroup.controllers') ? undefined : 'needs control groups, version 2'),
  compiler: () => (runs('cc', '--version') ? undefined : 'needs a C compiler (cc)'),
};

/** Why this machine cannot run a row; undefined when it can. */
export function lacking(needs: readonly Need[] = []): string | undefined {
  for (const need of needs) {
    const why = looks[need]();
    if (why !== undefined) return why;
  }
  return undefined;
}

function runs(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A container's root may lack the right; only trying tells. */
function mounts(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-mount-'));
  try {
    if (!runs('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder)) return false;
    runs('umount', folder);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
