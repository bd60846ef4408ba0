// Imports point one way: proto <- core <- agent, collector <- simulators <- bench. Within a package a relative import stays
// in the package. A test file may import what its package may.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const allowed = {
  proto: [],
  core: ['proto'],
  agent: ['proto', 'core'],
  collector: ['proto', 'core'],
  simulators: ['proto', 'core', 'agent', 'collector'],
  bench: ['proto', 'core', 'agent', 'collector', 'simulators'],
};

const importPattern = /(?:from\s+|import\s*\(\s*|import\s+|require\.resolve\(\s*|new URL\(\s*)['"]([^'"]+)['"]/g;

/** Problems in one source text; `path` is relative to the root, such as `agent/uplink/uplink.ts`. */
export function wrongImportsIn(path, text) {
  const [own, ...inner] = path.split('/');
  const problems = [];
  for (const [, target] of text.matchAll(importPattern)) {
    const other = /^@tributary\/([^/]+)/.exec(target)?.[1];
    if (other !== undefined && other !== own && !allowed[own].includes(other)) {
      problems.push(`${path}: imports ${target}; ${own} may import ${allowed[own].join(', ') || 'no other package'}`);
    }
    if (other === own) problems.push(`${path}: imports ${target}; a package imports its own files by a relative path`);
    if (target.startsWith('..')) {
      const ups = target.split('/').filter((part) => part === '..').length;
      // Compiled files lie one folder deeper, under dist: only files that are no modules may be reached there.
      if (ups > inner.length - 1 && target.endsWith('.js'))
        problems.push(`${path}: imports ${target}, out of its package`);
    }
  }
  return problems;
}

export function wrongImports(root) {
  const problems = [];
  for (const name of Object.keys(allowed)) {
    for (const entry of readdirSync(join(root, name), { recursive: true, withFileTypes: true })) {
      const full = join(entry.parentPath ?? entry.path, entry.name);
      const path = relative(root, full);
      if (!entry.isFile() || !entry.name.endsWith('.ts') || /(^|\/)(dist|node_modules)\//.test(path)) continue;
      problems.push(...wrongImportsIn(path, readFileSync(full, 'utf8')));
    }
  }
  // A check that cannot fail proves nothing: each run shows it a wrong import first.
  if (wrongImportsIn('core/x.ts', "import { a } from '@tributary/agent/agent';").length !== 1) {
    problems.push('.scripts/imports.mjs: does not see a wrong import any more');
  }
  return problems;
}
