import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';

/** Where people find more about an incident: a template's `{{incident}}`, `{{rule}}`, `{{tenant}}`, `{{device}}`, `{{series}}`. */
export function incidentLink(template: string, alert: Alert, tenant: string): string {
  const { rule, device, seriesName: series } = alert;
  const values: Record<string, string> = { incident: incidentHex(alert.incidentId), rule, tenant, device, series };
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => encodeURIComponent(wellFormed(values[name] ?? '')));
}

/** Half a pair of surrogates, of which no URL can be made, becomes U+FFFD. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}

/** An incident's id as people and receivers see it. */
export function incidentHex(incidentId: Uint8Array): string {
  return Buffer.from(incidentId).toString('hex');
}
