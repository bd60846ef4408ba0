/** What a template may name. */
export interface TemplateValues {
  value: number;
  device: string;
  series: string;
  labels: Readonly<Record<string, string>>;
}

export type Template = (values: TemplateValues) => string;

export type TemplateResult = { ok: true; template: Template } | { ok: false; problem: string };

const placeholder = /\{\{\s*([^{}]*?)\s*\}\}/g;
const labelForm = /^labels\.([A-Za-z_][A-Za-z0-9_.-]*)$/;

/**
 * Compiles a text with `{{value}}`, `{{device}}`, `{{series}}` and `{{labels.NAME}}`, the series' labels; a label that a
 * series lacks is empty. Other names are refused, so that a misspelling shows when the rules are read and not in an alert.
 */
export function compileTemplate(text: string): TemplateResult {
  const parts: (string | Template)[] = [];
  let end = 0;
  for (const match of text.matchAll(placeholder)) {
    const part = lookup(match[1] ?? '');
    if (part === undefined) {
      return {
        ok: false,
        problem: `unknown name {{${match[1]}}}; known are {{value}}, {{device}}, {{series}} and {{labels.NAME}}`,
      };
    }
    parts.push(text.slice(end, match.index), part);
    end = match.index + match[0].length;
  }
  const rest = text.slice(end);
  if (/\{\{|\}\}/.test(parts.filter((part) => typeof part === 'string').join('') + rest)) {
    return { ok: false, problem: 'a {{ without its }}; write {{value}}' };
  }
  parts.push(rest);
  return {
    ok: true,
    template: (values) => parts.map((part) => (typeof part === 'string' ? part : part(values))).join(''),
  };
}

function lookup(name: string): Template | undefined {
  if (name === 'value') return ({ value }) => String(value);
  if (name === 'device') return ({ device }) => device;
  if (name === 'series') return ({ series }) => series;
  const label = labelForm.exec(name)?.[1];
  if (label === undefined) return undefined;
  return ({ labels }) => (Object.hasOwn(labels, label) ? (labels[label] ?? '') : '');
}
