// The packages that cannot be bundled, because they load a native module by its place: they are copied beside the bundle,
// with what they need at run time and nothing of what they were built from.
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** Which files of a package are used at run time; of every package all but sources, types and maps. */
const kept = {
  'better-sqlite3': (path) => /^(lib\/|package\.json$|LICENSE$|build\/Release\/better_sqlite3\.node$)/.test(path),
  '@serialport/bindings-cpp': (path) =>
    /^(dist\/|package\.json$|LICENSE$)/.test(path) ||
    (path.startsWith(`prebuilds/${process.platform}-${process.arch}/`) && !path.endsWith('.musl.node')) ||
    /^build\/Release\/[^/]+\.node$/.test(path),
};

/** What a package names and does not load: tools of its installation. */
const unused = new Set(['prebuild-install', 'node-addon-api']);

const needless =
  /(\.d\.[cm]?ts|\.map|\.ts|\.md|\.markdown|\.yml|\.flow|\.tsbuildinfo)$|(^|\/)(test|tests|example|examples|\.github)\//;

/** The folder of `name` as `from` would find it; undefined when it is not installed. */
function folderOf(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

export function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

function filesBelow(folder, under = '') {
  return readdirSync(join(folder, under), { withFileTypes: true }).flatMap((entry) => {
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(folder, path);
    return [path];
  });
}

/** Copies packages and what they depend on to `to`, laid out as npm does; answers their folders. */
export function copyPackages(names, from, to) {
  const copied = new Map();
  const copy = (name, near, target) => {
    const folder = folderOf(name, near);
    if (folder === undefined) throw new Error(`${name} is not installed; run npm ci`);
    // A second version stays below whoever wants it.
    const flat = join(to, name);
    const place = copied.get(flat) === undefined || copied.get(flat) === folder ? flat : join(target, name);
    if (copied.get(place) === folder) return;
    copied.set(place, folder);
    const keep = (path) => !needless.test(path) && (kept[name]?.(path) ?? true);
    for (const path of filesBelow(folder).filter(keep)) cpSync(join(folder, path), join(place, path));
    const { dependencies = {} } = manifestOf(folder);
    for (const one of Object.keys(dependencies)) {
      if (!unused.has(one)) copy(one, folder, join(place, 'node_modules'));
    }
  };
  for (const name of names) copy(name, from, to);
  return [...copied.values()];
}

/** The folder of the package that a bundled file came from; undefined for files of this repository. */
export function packageFolder(root, file) {
  const parts = relative(root, file).split(sep);
  const at = parts.lastIndexOf('node_modules');
  if (at === -1) return undefined;
  const length = parts[at + 1].startsWith('@') ? 3 : 2;
  return join(root, ...parts.slice(0, at + length));
}

export function sizeOf(folder) {
  return filesWithin(folder).reduce((bytes, path) => bytes + statSync(path).size, 0);
}

export function filesWithin(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}
