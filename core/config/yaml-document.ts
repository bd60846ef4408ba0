import { type Document, isAlias, isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { ConfigProblem } from './problem.js';

/** A parsed YAML text that still knows where everything stood. */
export interface YamlDocument {
  /** Plain values: objects, arrays, strings, numbers, booleans, null. */
  value: unknown;
  /** Line and column, from 1, of the value at `path`, or of its key; of the nearest parent where `path` leads nowhere. */
  locate(path: readonly PropertyKey[], part: 'key' | 'value'): { line: number; column: number };
}

/** Each alias may be expanded this often in all: enough for shared settings, far from an alias bomb ("billion laughs"). */
const aliasCountMax = 100;

/** Parses YAML 1.2 (core schema, one document). Syntax errors, duplicate keys and unknown tags come back as problems. */
export function parseYaml(text: string): { document: YamlDocument } | { problems: ConfigProblem[] } {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    uniqueKeys: true,
    version: '1.2',
    logLevel: 'error',
  });
  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    const problems = faults.map((fault) => {
      const { line, col } = lineCounter.linePos(fault.pos[0]);
      return { line, column: col, field: '', message: `${explain(fault.code, fault.message)}` };
    });
    return { problems };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasCountMax });
  } catch {
    const message = `the aliases (*name) expand to too much; at most ${aliasCountMax} uses are followed, repeat the values instead`;
    return { problems: [{ line: 1, column: 1, field: '', message }] };
  }
  return { document: { value, locate: (path, part) => locate(document, lineCounter, path, part) } };
}

function explain(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key stands here twice; keep one of them';
    case 'TAB_AS_INDENT':
      return 'a tab is used for indentation; YAML wants spaces';
    case 'MULTIPLE_DOCS':
      return 'the file holds several YAML documents; keep one and remove the lines with ---';
    case 'TAG_RESOLVE_FAILED':
      return `an unknown YAML tag (${message}); write the value without a tag`;
    default:
      return `not valid YAML: ${message}`;
  }
}

function locate(document: Document, lineCounter: LineCounter, path: readonly PropertyKey[], part: 'key' | 'value') {
  let node: unknown = document.contents;
  let offset = offsetOf(node) ?? 0;
  for (const [depth, key] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let keyNode: unknown;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      keyNode = pair?.key;
      node = pair?.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
    } else {
      node = undefined;
    }
    if (isPair(node)) node = node.value;
    const last = depth === path.length - 1;
    const found = (last && part === 'key' ? offsetOf(keyNode) : offsetOf(node)) ?? offsetOf(keyNode) ?? offsetOf(node);
    if (found === undefined) break;
    offset = found;
  }
  const { line, col } = lineCounter.linePos(offset);
  return { line, column: col };
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
