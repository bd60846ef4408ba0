import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { labelsOf, stateName } from './alert-state.js';

export type ActionTemplate = (alert: Alert) => string;

export type ActionTemplateResult = { ok: true; template: ActionTemplate } | { ok: false; problem: string };

const placeholder = /\{\{\s*([^{}]*?)\s*\}\}/g;
const labelForm = /^labels\.([A-Za-z_][A-Za-z0-9_.-]*)$/;

const names: Readonly<Record<string, ActionTemplate>> = {
  value: ({ value }) => String(value),
  unit: ({ seriesUnit }) => seriesUnit,
  rule: ({ rule }) => rule,
  severity: ({ severity }) => severity,
  state: ({ state }) => stateName(state),
  device: ({ device }) => device,
  series: ({ seriesName }) => seriesName,
  incident: ({ incidentId }) => Buffer.from(incidentId).toString('hex'),
};

/**
 * Compiles a text of an action, in which `{{...}}` names what of the alert stands there; a label that an alert lacks is empty.
 * The names are those of a rule's own templates and more, since here the transition is known.
 */
export function compileActionTemplate(text: string): ActionTemplateResult {
  const parts: ActionTemplate[] = [];
  const fixed: string[] = [];
  const put = (part: string) => {
    fixed.push(part);
    parts.push(() => part);
  };
  let end = 0;
  for (const match of text.matchAll(placeholder)) {
    const name = match[1] ?? '';
    const part = lookup(name);
    if (part === undefined) {
      const known = Object.keys(names)
        .map((each) => `{{${each}}}`)
        .join(', ');
      return { ok: false, problem: `unknown name {{${name}}}; known are ${known} and {{labels.NAME}}` };
    }
    put(text.slice(end, match.index));
    parts.push(part);
    end = match.index + match[0].length;
  }
  put(text.slice(end));
  // A }} by itself ends an object of JSON, which boards are sent.
  if (fixed.some((part) => part.includes('{{'))) {
    return { ok: false, problem: 'a {{ without its }}; write {{value}}' };
  }
  return { ok: true, template: (alert) => parts.map((part) => part(alert)).join('') };
}

/** Of a text that the configuration's schema has let through. */
export function actionTemplate(text: string): ActionTemplate {
  const compiled = compileActionTemplate(text);
  if (!compiled.ok) throw new Error(compiled.problem);
  return compiled.template;
}

function lookup(name: string): ActionTemplate | undefined {
  if (Object.hasOwn(names, name)) return names[name];
  const label = labelForm.exec(name)?.[1];
  return label === undefined ? undefined : (alert) => labelsOf(alert).get(label) ?? '';
}
