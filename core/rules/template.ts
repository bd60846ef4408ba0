import { nearest } from '../config/nearest.js';

/** What a template may name. */
export interface TemplateValues {
  value: number;
  device: string;
  series: string;
  unit: string;
  rule: string;
  severity: string;
  /** The series' labels, and the device's attributes. */
  labels: Readonly<Record<string, string>>;
  attributes: Readonly<Record<string, string>>;
}

export type Template = (values: TemplateValues) => string;

export type TemplateResult = { ok: true; template: Template } | { ok: false; problem: string };

const placeholder = /\{\{\s*([^{}]*?)\s*\}\}/g;
const recordForm = /^(labels|attributes)\.([A-Za-z_][A-Za-z0-9_.-]*)$/;
const plainNames = ['value', 'device', 'series', 'unit', 'rule', 'severity'] as const;
const known = `${plainNames.map((name) => `{{${name}}}`).join(', ')}, {{labels.NAME}} and {{attributes.NAME}}`;

/**
 * Compiles a text with names in double braces: `{{value}}`, `{{device}}`, `{{series}}`, `{{unit}}`, `{{rule}}`,
 * `{{severity}}`, `{{labels.NAME}}`, a label of the series, and `{{attributes.NAME}}`, an attribute of the device; a label or
 * attribute that is not there is empty. Other names are refused, so that a misspelling shows when the rules are read and not
 * in an alert.
 */
export function compileTemplate(text: string): TemplateResult {
  const parts: (string | Template)[] = [];
  let end = 0;
  for (const match of text.matchAll(placeholder)) {
    const part = lookup(match[1] ?? '');
    if (part === undefined) {
      const near = nearest(match[1] ?? '', plainNames);
      const hint = near === undefined ? '' : `did you mean {{${near}}}? `;
      return { ok: false, problem: `unknown name {{${match[1]}}}; ${hint}known are ${known}` };
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

/** Labels of the series that a text names: of a series that lacks one it says nothing there. */
export function labelsNamedIn(text: string): string[] {
  return [...text.matchAll(placeholder)].flatMap(([, name = '']) => {
    const [, record, key] = recordForm.exec(name) ?? [];
    return record === 'labels' && key !== undefined ? [key] : [];
  });
}

function lookup(name: string): Template | undefined {
  const plain = plainNames.find((one) => one === name);
  if (plain !== undefined) return (values) => String(values[plain]);
  const [, record, key] = recordForm.exec(name) ?? [];
  if (record === undefined || key === undefined) return undefined;
  return (values) => {
    const named = record === 'labels' ? values.labels : values.attributes;
    return Object.hasOwn(named, key) ? (named[key] ?? '') : '';
  };
}
