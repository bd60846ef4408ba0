import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer } from '../rig/observer.js';
import { Rig, root } from '../rig/rig.js';
import { until } from '../rig/until.js';
import { ignorePatterns, isIgnored, parseDockerfile, type Stage, type Step } from './dockerfile.js';
import { ImageRoot, rootNeeds } from './image-root.js';

const stages = parseDockerfile(readFileSync(join(root, 'deploy/docker/Dockerfile'), 'utf8'));
const final = stages.at(-1)!;
const needs = rootNeeds();

type StepOf<K> = Step extends infer One
  ? One extends { kind: infer Own }
    ? K extends Own
      ? One
      : never
    : never
  : never;

function stepOf<K extends Step['kind']>(stage: Stage, kind: K): StepOf<K> {
  const step = stage.steps.findLast((one) => one.kind === kind);
  if (step === undefined) throw new Error(`the stage has no ${kind}`);
  return step as StepOf<K>;
}

describe('the Dockerfile', () => {
  it('builds in one stage and ships another, of the same Node and C library, for a user that is not root', () => {
    expect(stages.map(({ from }) => from)).toEqual(['node:24-bookworm', 'node:24-bookworm-slim']);
    expect(final.steps.filter(({ kind }) => kind === 'run')).toEqual([]);
    expect(stepOf(final, 'user').user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(stepOf(final, 'expose').ports).toEqual([4443, 9465]);
  });

  it('is refused where it says what nobody here follows', () => {
    expect(() => parseDockerfile('FROM a\nADD x y')).toThrow('ADD is not followed here');
    expect(() => parseDockerfile('FROM a\nRUN --mount=type=cache,target=/x make')).toThrow('not followed');
  });

  it('leaves out what an image must not have', () => {
    const patterns = ignorePatterns(readFileSync(join(root, '.dockerignore'), 'utf8'));
    for (const path of ['.git/config', 'agent/dist/cli.js', 'node_modules/pino/package.json', 'my/pki/ca-key.pem']) {
      expect(isIgnored(path, patterns), path).toBe(true);
    }
    for (const path of ['package-lock.json', 'agent/cli.ts', '.scripts/bundle.mjs', 'deploy/systemd/install.sh']) {
      expect(isIgnored(path, patterns), path).toBe(false);
    }
  });
});

/**
 * The steps themselves, in roots of their own: what is missing from the copied folder, the lock file or the bundle shows.
 * This machine's programs stand for the base images, so their Node and their C library are not what is tried. npm has the
 * cache of this machine, and better-sqlite3 finds the binding that was compiled for the workspace as its prebuilt one: it is
 * what compiling the same source with the same Node again would give, some minutes later.
 */
describe.skipIf(needs !== undefined)(`its steps${needs === undefined ? '' : ` (skipped: ${needs})`}`, () => {
  const roots = new Map<string, ImageRoot>();
  let rig: Rig;

  beforeAll(async () => {
    rig = await Rig.create('image');
    for (const [at, stage] of stages.entries()) {
      const image = new ImageRoot();
      roots.set(stage.name ?? String(at), image);
      follow(stage, image);
    }
  }, 300_000);
  afterAll(async () => {
    for (const image of roots.values()) image.remove();
    await rig?.close();
  });

  function follow(stage: Stage, image: ImageRoot): void {
    let cwd = '/';
    let env: Record<string, string> = {};
    for (const step of stage.steps) {
      if (step.kind === 'workdir') {
        cwd = step.path;
        mkdirSync(image.path(cwd), { recursive: true });
      } else if (step.kind === 'env') env = { ...env, ...step.variables };
      else if (step.kind === 'copy') {
        const target = step.target === '.' ? cwd : step.target;
        if (step.from === undefined) {
          expect(step.sources).toEqual(['.']);
          copyContext(image.path(target));
        } else
          for (const source of step.sources)
            cpSync(roots.get(step.from)!.path(source), image.path(target), { recursive: true });
      } else if (step.kind === 'run')
        image.run(['/bin/sh', '-c', step.command], { cwd, env: { ...env, ...npmEnv(image) }, mounts: home });
    }
  }

  function copyContext(target: string): void {
    const patterns = ignorePatterns(readFileSync(join(root, '.dockerignore'), 'utf8'));
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const files = execFileSync('git', list, { cwd: root, maxBuffer: 1 << 24 })
      .toString()
      .split('\0');
    for (const path of files.filter((one) => one !== '' && !isIgnored(one, patterns) && existsSync(join(root, one)))) {
      cpSync(join(root, path), join(target, path));
    }
  }

  /** The home folder with npm's cache and settings; what is written to it stays in memory. */
  const home = [
    '-t tmpfs tmpfs "$root/mnt" && mkdir "$root/mnt/upper" "$root/mnt/work"',
    '-t overlay overlay -o "lowerdir=/root,upperdir=$root/mnt/upper,workdir=$root/mnt/work" "$root/root"',
  ];

  function npmEnv(image: ImageRoot): Record<string, string> {
    const folder = join(root, 'node_modules/better-sqlite3');
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    const abi = `node-v${process.versions.modules}-${process.platform}-${process.arch}`;
    mkdirSync(image.path('prebuilds'), { recursive: true });
    const archive = image.path(`prebuilds/better-sqlite3-v${version}-${abi}.tar.gz`);
    execFileSync('tar', ['-czf', archive, '-C', folder, 'build/Release/better_sqlite3.node']);
    const passed = Object.entries(process.env).filter(([name]) => /^(npm_config_|https?_proxy$|no_proxy$)/i.test(name));
    return {
      ...(Object.fromEntries(passed) as Record<string, string>),
      npm_config_prefer_offline: 'true',
      npm_config_better_sqlite3_local_prebuilds: '/prebuilds',
    };
  }

  it("make an image of the bundle and nothing else, none of it its user's", () => {
    const image = roots.get(String(stages.length - 1))!;
    const copied = stepOf(final, 'copy').target;
    expect(readdirSync(image.path(dirname(copied)))).toEqual([basename(copied)]);
    expect(readdirSync(image.path(copied)).sort()).toEqual(
      [
        'LICENSE',
        'LICENSES.txt',
        'assets',
        'bin',
        'config',
        'dist',
        'node_modules',
        'package.json',
        'sbom.cdx.json',
      ].sort(),
    );
  });

  it('make a collector that serves, with a read-only root, as a user who is not root, with a key that its group may read', async () => {
    const image = roots.get(String(stages.length - 1))!;
    const { user } = stepOf(final, 'user');
    const [uid, gid] = user.split(':').map(Number);
    // As Kubernetes mounts a Secret for a pod with fsGroup: root's, readable by the group.
    const mounted = rig.path('mounted');
    mkdirSync(mounted);
    for (const [from, to] of Object.entries({
      'ca.pem': 'ca.crt',
      'server.pem': 'tls.crt',
      'server-key.pem': 'tls.key',
    })) {
      cpSync(rig.path(`pki/${from}`), join(mounted, to));
      chownSync(join(mounted, to), 0, gid);
      chmodSync(join(mounted, to), 0o440);
    }
    const config = {
      listen: '127.0.0.1:0',
      trustDomain: 'rig.test',
      tls: { ca: 'ca.crt', cert: 'tls.crt', key: 'tls.key' },
      store: { sqlite: { path: '/var/lib/tributary/collector.db' } },
      health: { listen: '127.0.0.1:0' },
    };
    writeFileSync(join(mounted, 'collector.yaml'), JSON.stringify(config));
    mkdirSync(image.path('etc/tributary'), { recursive: true });
    const child = image.start([...stepOf(final, 'entrypoint').words, ...stepOf(final, 'cmd').words], {
      cwd: stepOf(final, 'workdir').path,
      env: stepOf(final, 'env').variables,
      user,
      isReadOnly: true,
      mounts: [
        `--bind -o ro "${mounted}" "$root/etc/tributary"`,
        `-t tmpfs -o uid=${uid},gid=${gid},mode=700 tmpfs "$root/var/lib/tributary"`,
      ],
    });
    const printed: string[] = [];
    let port = 0;
    createInterface({ input: child.stderr! }).on('line', (line) => {
      printed.push(line);
      const listen = line.startsWith('{') ? (JSON.parse(line) as { listen?: string }).listen : undefined;
      if (listen !== undefined) port = Number(listen.split(':').pop());
    });
    try {
      await until('the collector takes readings, or has ended', () => port > 0 || child.exitCode !== null);
      if (child.exitCode !== null) throw new Error(printed.join('\n'));
      const observer = new Observer(port, rig.operatorFiles);
      expect(await observer.audit()).toEqual([]);
      observer.close();
    } finally {
      if (child.exitCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        execFileSync('pkill', ['-TERM', '-P', String(child.pid)]);
        await ended;
      }
    }
    expect(printed.some((line) => line.includes('the collector has stopped'))).toBe(true);
  });
});
