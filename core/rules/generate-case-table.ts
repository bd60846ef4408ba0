import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type EdgeCase, edgeCases } from './edge-cases.js';

/** Writes the table of edge cases into docs/ALERTS.md, between its two marks. Run by `npm run generate`. */
const file = fileURLToPath(new URL('../../../docs/ALERTS.md', import.meta.url));
const begin = '<!-- edge cases: generated from core/rules/cases -->\n';
const end = '<!-- end of edge cases -->';

const text = readFileSync(file, 'utf8');
const from = text.indexOf(begin);
const to = text.indexOf(end);
if (from < 0 || to < from) throw new Error(`${file} has lost the marks of the table of edge cases`);
const cases = edgeCases();
const tables = [...new Set(cases.map(({ group }) => group))].map((group) => {
  const rows = cases.filter((one) => one.group === group).map(row);
  return ['| case | rule | what happens | what comes of it |', '|---|---|---|---|', ...rows].join('\n');
});
writeFileSync(file, `${text.slice(0, from)}${begin}\n${tables.join('\n\n')}\n\n${text.slice(to)}`);

function row({ name, fields, input, expected }: EdgeCase): string {
  const rule = Object.entries(fields)
    .map(([key, value]) => `${key}: ${inline(value)}`)
    .join(', ');
  const cells = [name, `\`${rule}\``, `\`${input.trim().replaceAll(/\s+/g, ' ')}\``];
  const story = expected.length === 0 ? 'nothing' : expected.map((one) => `\`${one}\``).join(', ');
  return `| ${[...cells, story].join(' | ')} |`;
}

/** As one writes it in YAML. */
function inline(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = Object.entries(value).map(([key, one]) => `${key}: ${inline(one)}`);
  return `{${entries.join(', ')}}`;
}
