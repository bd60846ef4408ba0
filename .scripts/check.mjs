// The repository checks itself: format and lint, dead code, the direction of imports, the contract, that what is generated
// is up to date, and that the paths which the documents name exist. Each check prints a line; the first failure ends it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateAll, generated } from './generate.mjs';
import { wrongImports } from './imports.mjs';
import { missingPaths } from './paths.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function tool(name, args, cwd = '.') {
  const result = spawnSync(join(root, 'node_modules', '.bin', name), args, { cwd: join(root, cwd), encoding: 'utf8' });
  return result.status === 0 ? [] : [`${result.stdout}${result.stderr}`.trim()];
}

function filesOf(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (statSync(full).isFile()) return [full];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function digests() {
  const result = new Map();
  for (const path of generated.flatMap((one) => one.outputs).flatMap(filesOf)) {
    result.set(relative(root, path), createHash('sha256').update(readFileSync(path)).digest('hex'));
  }
  return result;
}

function staleGenerated() {
  const before = digests();
  generateAll();
  const after = digests();
  return [...new Set([...before.keys(), ...after.keys()])]
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => `${path}: was not up to date; it has been regenerated, commit it`);
}

function breakingChanges() {
  const tag = spawnSync('git', ['tag', '--list', 'v*', '--sort=-v:refname'], { cwd: root, encoding: 'utf8' });
  const newest = tag.status === 0 ? tag.stdout.split('\n')[0] : '';
  if (!newest) return [];
  return tool('buf', ['breaking', '--against', `../.git#tag=${newest},subdir=proto`], 'proto');
}

const checks = [
  ['format and lint', () => tool('biome', ['check', '.'])],
  ['dead code', () => tool('knip', ['--no-progress'])],
  ['imports point one way', () => wrongImports(root)],
  ['contract: buf lint', () => tool('buf', ['lint'], 'proto')],
  ['contract: buf breaking', breakingChanges],
  ['generated files are up to date', staleGenerated],
  ['paths named in the documents exist', () => missingPaths(root)],
];

let failed = false;
for (const [name, check] of checks) {
  const problems = check();
  console.log(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name}`);
  for (const problem of problems) console.log(`     ${problem.replaceAll('\n', '\n     ')}`);
  failed ||= problems.length > 0;
}
process.exit(failed ? 1 : 0);
