// Completes package-lock.json after `npm install`. A registry mirror that does not carry the optional packages of other
// platforms leaves them out of the lock file, and `npm ci` then refuses it on every platform. Version and platform of what
// is missing follow from the package that names it; what is added so has no integrity hash, as nobody here has seen it.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = join(dirname(dirname(fileURLToPath(import.meta.url))), 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));

const systems = ['linux', 'darwin', 'win32', 'android', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'openharmony'];
const processors = {
  'arm-eabi': 'arm',
  'arm-gnueabihf': 'arm',
  'arm-musleabihf': 'arm',
  armv7: 'arm',
  arm64: 'arm64',
  aarch64: 'arm64',
  arm: 'arm',
  x64: 'x64',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
};

function platform(name) {
  const os = systems.find((one) => name.includes(one));
  const cpu = Object.keys(processors).find((one) => new RegExp(`-${one}(-|$)`).test(name));
  if (os === undefined || cpu === undefined) return undefined;
  const libc = /musl/.test(name) ? { libc: ['musl'] } : /gnu/.test(name) && os === 'linux' ? { libc: ['glibc'] } : {};
  return { os: [os], cpu: [processors[cpu]], ...libc };
}

let added = 0;
for (const [where, entry] of Object.entries(lock.packages)) {
  if (where === '') continue;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (lock.packages[`node_modules/${name}`] || lock.packages[`${where}/node_modules/${name}`]) continue;
    const fields = platform(name);
    if (fields === undefined || !/^\d+\.\d+\.\d+/.test(version)) continue;
    lock.packages[`node_modules/${name}`] = { version, optional: true, ...(entry.dev ? { dev: true } : {}), ...fields };
    added++;
  }
}
const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
writeFileSync(file, `${JSON.stringify({ ...lock, packages: sorted }, null, 2)}\n`);
console.log(`${added} packages of other platforms added`);
