import type { AgentConfig } from '../config/schema.js';

/** What the configuration says about the device, as Register's attributes. */
export function deviceAttributes({ device }: Pick<AgentConfig, 'device'>): Record<string, string> {
  const attributes: Record<string, string> = { ...device.labels };
  if (device.site !== undefined) attributes.site = device.site;
  if (device.timezone !== undefined) attributes.timezone = device.timezone;
  return attributes;
}
