// Every path that a document names in backticks or links to exists.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const topLevel = /^(proto|core|agent|collector|simulators|bench|docs|deploy|\.scripts|\.ci)\//;

/** Paths that a Markdown text names: relative links, and backticked paths below a top-level folder. */
export function namedPaths(text) {
  const linked = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map((match) => ({
    path: match[1],
    linked: true,
  }));
  const quoted = [...text.matchAll(/`([^`\s]+)`/g)]
    .map((match) => match[1].replace(/[.,:]$/, ''))
    .filter((path) => topLevel.test(path) && !/[*{}<>$…]/.test(path) && !path.includes('/dist/'))
    .map((path) => ({ path, linked: false }));
  return [...linked, ...quoted];
}

export function missingPaths(root) {
  const documents = ['.', 'docs', 'docs/decisions', 'proto', 'deploy']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.md'));
  const problems = [];
  for (const document of documents) {
    for (const { path, linked } of namedPaths(readFileSync(join(root, document), 'utf8'))) {
      const target = linked ? join(root, dirname(document), path) : join(root, path);
      if (!existsSync(target)) problems.push(`${document}: names ${path}, which does not exist`);
    }
  }
  if (namedPaths('`agent/no-such-file.ts` and [x](y.md)').length !== 2) {
    problems.push('.scripts/paths.mjs: does not see paths any more');
  }
  return problems;
}
