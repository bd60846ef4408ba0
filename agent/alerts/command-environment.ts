import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { labelsOf, stateName } from './alert-state.js';
import { isoTime } from './log-alert.js';

/** What a program finds its way by. Nothing else of the agent's environment is any of its business. */
const inherited = ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'] as const;

const pathByDefault = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Linux takes 128 KiB of one variable and 2 MiB of all; what is longer than this is no label. */
const valueBytesMax = 4_096;

/** The environment of a command: some of the agent's own, and the alert. `isRepeated`: it may have been run before. */
export function commandEnvironment(
  alert: Alert,
  isRepeated: boolean,
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const environment: Record<string, string> = { PATH: pathByDefault };
  for (const name of inherited) {
    const value = own[name];
    if (value !== undefined) environment[name] = value;
  }
  const set = (name: string, value: string) => {
    environment[`TRIBUTARY_${name}`] = fitting(value);
  };
  set('INCIDENT', Buffer.from(alert.incidentId).toString('hex'));
  set('STATE', stateName(alert.state));
  set('RULE', alert.rule);
  set('RULE_VERSION', alert.ruleVersion);
  set('SEVERITY', alert.severity);
  set('DEVICE', alert.device);
  set('SERIES', alert.seriesName);
  set('UNIT', alert.seriesUnit);
  set('VALUE', String(alert.value));
  set('STARTED_AT', isoTime(alert.startedAtUs));
  set('TRANSITION_AT', isoTime(alert.transitionAtUs));
  set('RETRACTED', alert.retracted ? '1' : '0');
  set('REPEATED', isRepeated ? '1' : '0');
  for (const [name, value] of labelsOf(alert)) set(`LABEL_${nameOf(name)}`, value);
  for (const [name, value] of Object.entries(alert.annotations)) set(`ANNOTATION_${nameOf(name)}`, value);
  return environment;
}

/** A label may have characters that no variable's name has. */
function nameOf(label: string): string {
  return label.replace(/[^A-Za-z0-9_]/g, '_');
}

/** No variable can hold a NUL, and none may be so long that the program cannot be started. */
function fitting(value: string): string {
  const text = value.replaceAll('\0', '\ufffd');
  const bytes = Buffer.from(text);
  if (bytes.length <= valueBytesMax) return text;
  // A character that was cut through shows as the replacement character, and goes.
  return bytes
    .subarray(0, valueBytesMax)
    .toString()
    .replace(/\ufffd+$/, '');
}
