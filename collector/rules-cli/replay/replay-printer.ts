import type { Writable } from 'node:stream';
import { formatUs } from '../../query/instant-format.js';
import { type Row, RowWriter } from '../../query/row-writer.js';
import { idOf } from './real-incidents.js';
import type { Found, ReplayResult } from './replay-rules.js';
import type { Totals } from './rule-totals.js';

const INCIDENT_COLUMNS = ['rule', 'severity', 'device', 'series', 'labels', 'started', 'fired', 'ended', 'value'];
const RULE_COLUMNS = ['rule', 'incidents', 'firing now', 'series', 'time firing'];

/** Incidents as they are found, then what came of each rule. */
export class TablePrinter {
  readonly #out: Writable;
  readonly #isCompared: boolean;
  readonly #incidents: RowWriter;

  constructor(out: Writable, isCompared: boolean) {
    this.#out = out;
    this.#isCompared = isCompared;
    this.#incidents = new RowWriter(out, 'table', isCompared ? [...INCIDENT_COLUMNS, 'really'] : INCIDENT_COLUMNS);
  }

  async found(found: Found): Promise<void> {
    await this.#incidents.write([incidentRow(found)]);
  }

  async end({ rules, devices, readings }: ReplayResult, fromUs: number, untilUs: number): Promise<void> {
    await this.#incidents.end();
    this.#out.write('\n');
    const columns = this.#isCompared ? [...RULE_COLUMNS, 'really fired', 'late', 'only real'] : RULE_COLUMNS;
    const writer = new RowWriter(this.#out, 'table', columns);
    await writer.write(rules.map(ruleRow));
    await writer.end();
    const range = `${formatUs(fromUs)} to ${formatUs(untilUs)}`;
    this.#out.write(`${readings} readings of ${devices} device${devices === 1 ? '' : 's'}, ${range}\n`);
  }
}

/** One object a line: incidents of type `incident`, then rules of type `rule`, then one of type `total`. */
export class JsonPrinter {
  readonly #writer: RowWriter;

  constructor(out: Writable) {
    this.#writer = new RowWriter(out, 'json', []);
  }

  async found(found: Found): Promise<void> {
    await this.#writer.write([{ type: 'incident', ...incidentRow(found) }]);
  }

  async end({ rules, devices, readings, undecodable }: ReplayResult, fromUs: number, untilUs: number): Promise<void> {
    await this.#writer.write(rules.map((totals) => ({ type: 'rule', ...totals })));
    const range = { from: formatUs(fromUs), until: formatUs(untilUs) };
    await this.#writer.write([{ type: 'total', devices, readings, undecodable, ...range }]);
  }
}

function incidentRow(found: Found): Row {
  if (found.kind === 'replayed') {
    const { device, incident, really } = found;
    const { rule, series, startedUs, firedUs, endedUs, value, id } = incident;
    const { name, unit, labels } = series;
    const about = { rule: rule.name, severity: rule.severity, device, series: name, unit, labels };
    return { ...about, ...times(startedUs, firedUs, endedUs), value, ...(really && { really }), incident: id };
  }
  const { alert, startedAtUs, firedAtUs, resolvedAtUs } = found.incident;
  const { rule, severity, seriesName, seriesUnit, seriesLabels, value } = alert;
  const about = { rule, severity, device: found.device, series: seriesName, unit: seriesUnit, labels: seriesLabels };
  const really = { value, really: 'only real', incident: idOf(found.incident) };
  return { ...about, ...times(startedAtUs, firedAtUs, resolvedAtUs), ...really };
}

function times(startedUs: number, firedUs: number, endedUs: number | undefined) {
  const ended = endedUs === undefined ? '' : formatUs(endedUs);
  return { started: formatUs(startedUs), fired: formatUs(firedUs), ended };
}

function ruleRow({ rule, incidents, firingNow, series, firingSeconds, fired, late, onlyReal }: Totals): Row {
  return {
    rule,
    incidents,
    'firing now': firingNow,
    series,
    'time firing': durationText(firingSeconds),
    'really fired': fired,
    late,
    'only real': onlyReal,
  };
}

/** The two largest units: `3d 4h`, `12m 5s`, `0s`. */
function durationText(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}
