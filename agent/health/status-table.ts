import { formatByteSize } from '@tributary/core/config/byte-size';
import type { AgentStatus } from './agent-status.js';
import type { FlashWear } from './flash-wear.js';

/** A status for a person: two columns, one line a fact. */
export function statusTable(status: AgentStatus): string {
  const { buffer, uplink, readings, alerts } = status;
  const rows: [string, string][] = [
    ['device', status.device],
    ['agent', `${status.version}, up ${age(status.uptimeSeconds)}, ${mebibytes(status.rssBytes)} resident`],
    ['collector', status.collector],
    ['uplink', uplink.why === undefined ? uplink.state : `${uplink.state}: ${uplink.why}`],
    [
      'last success',
      uplink.lastSuccessAgeSeconds === undefined ? 'none yet' : `${age(uplink.lastSuccessAgeSeconds)} ago`,
    ],
    ['streams', counts(uplink.streams)],
    [
      'waiting',
      `${buffer.readings} readings in ${buffer.items} items, ${mebibytes(buffer.bytes)}${buffer.standby === true ? ', in memory' : ''}`,
    ],
    ['backlog', backlog(uplink.backlog)],
    ['buffer', `${mebibytes(buffer.bytes)} of ${formatByteSize(buffer.quotaBytes)}`],
    ...(buffer.trouble === undefined ? [] : [['trouble', buffer.trouble] satisfies [string, string]]),
    ...(buffer.wear === undefined ? [] : [['flash wear', wearOf(buffer.wear)] satisfies [string, string]]),
    ['readings', `${readings.taken} taken, ${readings.pending} in memory`],
    ['dropped', counts(readings.dropped)],
    ['thinned', `${buffer.readingsThinned} readings`],
    ['evicted', `${buffer.readingsEvicted} readings`],
    ['quarantined', `${buffer.itemsQuarantined} items`],
    ...rulesRows(status.rules),
    ['alerts', `${alerts.received} received, newest ${alerts.cursor}`],
  ];
  for (const { name, value, incidents } of alerts.statuses) {
    rows.push([`status ${name}`, incidents > 1 ? `${value} (${incidents} incidents)` : value]);
  }
  for (const { name, done, failures, skipped, waiting, running } of alerts.actions) {
    rows.push([
      `action ${name}`,
      counts({ done, ...prefixed('failed: ', failures), waiting, running, ...prefixed('skipped: ', skipped) }),
    ]);
  }
  for (const { name, state, why } of status.sources) {
    rows.push([`source ${name}`, why === undefined ? state : `${state}: ${why}`]);
  }
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

function rulesRows(rules: AgentStatus['rules']): [string, string][] {
  if (rules === undefined) return [];
  const { version, pending, firing, watched, unwatched, transitionsKept, refused, trouble, standing } = rules;
  const rows: [string, string][] = [
    [
      'rules',
      `${rules.rules} of version ${version || 'none'}, at work ${watched} times: ${firing} firing, ${pending} pending`,
    ],
  ];
  if (trouble !== undefined) rows.push(['rules', `not those that the collector sent last: ${trouble}`]);
  if (unwatched > 0) rows.push(['rules', `${unwatched} series more than can be judged`]);
  if (transitionsKept > 0)
    rows.push(['rules', `${transitionsKept} transitions stay here: the collector does not take them`]);
  for (const { name, why } of refused) rows.push([`rule ${name}`, `cannot be judged: ${why}`]);
  for (const { rule, series, labels, phase, since } of standing) {
    const named = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
    rows.push([`rule ${rule}`, [phase, series || 'the device', ...named, `since ${since}`].join(' ')]);
  }
  return rows;
}

function backlog({ trend, readingsPerSecond = 0, etaSeconds = 0 }: AgentStatus['uplink']['backlog']): string {
  const rate = Math.abs(readingsPerSecond).toPrecision(3);
  switch (trend) {
    case 'current':
      return 'none';
    case 'draining':
      return `gone in ${age(etaSeconds)}, at ${rate} readings/s`;
    case 'growing':
      return readingsPerSecond === 0 ? 'not shrinking' : `growing by ${rate} readings/s`;
    default:
      return 'not known yet';
  }
}

function wearOf({ bytesPerReading, bytesPerDay, projectedYears }: FlashWear): string {
  const years = projectedYears >= 100 ? 'over 100 years' : `${projectedYears.toFixed(1)} years`;
  return `${bytesPerReading.toFixed(1)} B a reading, ${mebibytes(bytesPerDay)} a day: a new card lasts ${years}`;
}

function prefixed(prefix: string, values: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]));
}

function counts(values: Record<string, number>): string {
  const shown = Object.entries(values).filter(([, count]) => count > 0);
  return shown.length === 0 ? 'none' : shown.map(([name, count]) => `${count} ${name}`).join(', ');
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

function age(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  if (whole < 172_800) return `${Math.round(whole / 3600)} h`;
  return `${Math.round(whole / 86_400)} d`;
}
