// Installs and builds what is missing, and nothing else: each step is skipped when its stamp says that it has been done
// for the present inputs. Nothing outside the repository is written but npm's own cache.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const installStamp = join(root, 'node_modules', '.tributary-install');

function fail(message) {
  console.error(`error: ${message}`);
  process.exit(1);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  fail(`Node ${process.versions.node} is too old; 20.19 or later is needed (https://nodejs.org)`);
}

function run(command, args, env = {}) {
  // What these print is for whoever watches the set-up: the standard output is kept for the job that follows.
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
  });
  if (result.status !== 0) fail(`\`${command} ${args.join(' ')}\` failed; what it printed stands above`);
}

/** Inputs of the installation: the lock file, and the Node that native modules are built for. */
function installKey() {
  const hash = createHash('sha256').update(process.versions.modules).update(process.platform).update(process.arch);
  return hash.update(readFileSync(join(root, 'package-lock.json'))).digest('hex');
}

if (!existsSync(installStamp) || readFileSync(installStamp, 'utf8') !== installKey()) {
  console.error(
    'installing dependencies (once; a native module may have to be compiled, which takes some minutes) ...',
  );
  // Where Node's headers lie beside it, native modules compile against them without a download.
  const prefix = dirname(dirname(process.execPath));
  const headers = existsSync(join(prefix, 'include', 'node', 'node.h')) ? { npm_config_nodedir: prefix } : {};
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], headers);
  const require = createRequire(join(root, 'agent', 'package.json'));
  try {
    const Database = require('better-sqlite3');
    new Database(':memory:').close();
  } catch (error) {
    fail(
      `better-sqlite3 was installed but does not load (${String(error.message).split('\n')[0]}); ` +
        'it needs a prebuilt binary for this Node, or a C++ compiler, make and Python to build one',
    );
  }
  mkdirSync(dirname(installStamp), { recursive: true });
  writeFileSync(installStamp, installKey());
}

/** Removes what was built from sources that are gone: the tests run what lies in `dist`. */
function removeStale(name) {
  const dist = join(root, name, 'dist');
  if (!existsSync(dist)) return;
  for (const path of readdirSync(dist, { recursive: true })) {
    if (!path.endsWith('.js') || existsSync(join(root, name, path.replace(/\.js$/, '.ts')))) continue;
    for (const built of [path, `${path}.map`, path.replace(/\.js$/, '.d.ts')])
      rmSync(join(dist, built), { force: true });
  }
}

if (process.argv.includes('--build')) {
  for (const name of ['proto', 'core', 'agent', 'collector', 'simulators', 'bench']) removeStale(name);
  // tsc keeps its own record of what has changed, and is done at once when nothing has.
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
}
