import { incidentId } from '@tributary/core/rules/incident-id';
import { savedInstanceSchema, savedOnsetSchema } from '@tributary/core/rules/saved-instance';
import { AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import * as v from 'valibot';
import type { AlertRecord, RuleStateRow, StoredSeries } from '../store/store.js';
import type { DeviceTrack, RuleHost } from './rule-host.js';
import { newPass, type SeriesTrack } from './series-track.js';

/*
 * How the rules' state lies in the store, one text a row:
 *   series 0, rule ''   the order of a device's batches: frontiers and holes
 *   series s, rule ''   how far the series has come, and the passes over its history
 *   series s, rule r    one rule's state for the series
 */

const NO_SERIES = 0;
const NO_RULE = '';

const lineSchema = v.object({
  frontier: v.array(v.tuple([v.number(), v.number()])),
  holes: v.array(
    v.object({ epochId: v.number(), first: v.number(), last: v.number(), generation: v.number(), fresh: v.boolean() }),
  ),
  generation: v.number(),
});

const passSchema = v.object({
  generation: v.number(),
  timeUs: v.nullable(v.number()),
  value: v.nullable(v.number()),
  cells: v.array(
    v.object({ rule: v.string(), version: v.string(), inherited: v.boolean(), state: savedInstanceSchema }),
  ),
});

const trackSchema = v.object({ timeUs: v.nullable(v.number()), generation: v.number(), passes: v.array(passSchema) });

const cellSchema = v.object({
  version: v.string(),
  severity: v.string(),
  notified: v.boolean(),
  touch: v.optional(
    v.object({
      generation: v.number(),
      onset: savedOnsetSchema,
      fired: v.boolean(),
    }),
  ),
  state: savedInstanceSchema,
});

/** What has changed since the last call: of all devices, or of one. */
export function changedRows(host: RuleHost, only?: number): RuleStateRow[] {
  const rows: RuleStateRow[] = [];
  if (only === undefined) for (const [deviceId, device] of host.devices) addChangedRows(deviceId, device, rows);
  else {
    const device = host.devices.get(only);
    if (device !== undefined) addChangedRows(only, device, rows);
  }
  return rows;
}

function addChangedRows(deviceId: number, { line, tracks }: DeviceTrack, rows: RuleStateRow[]): void {
  if (line.changed) {
    const { holes, generation } = line;
    rows.push(row(deviceId, NO_SERIES, NO_RULE, { frontier: [...line.frontier], holes, generation }));
    line.changed = false;
  }
  for (const track of tracks) {
    if (!track.changed) continue;
    rows.push(row(deviceId, track.seriesId, NO_RULE, savedTrack(track)));
    track.changed = false;
    for (const cell of track.cells) {
      if (!cell.changed) continue;
      const { rule, notified, touch } = cell;
      const saved = { version: rule.version, severity: rule.severity, notified, touch, state: cell.state.save() };
      rows.push(row(deviceId, track.seriesId, rule.name, saved));
      cell.changed = false;
    }
  }
}

function row(deviceId: number, seriesId: number, rule: string, state: object): RuleStateRow {
  return { deviceId, seriesId, rule, state: JSON.stringify(state) };
}

/** JSON has no infinity and no NaN: both become null. */
function savedTrack(track: SeriesTrack): object {
  return {
    timeUs: track.timeUs,
    generation: track.generation,
    passes: track.passes.map((pass) => ({
      generation: pass.generation,
      timeUs: pass.timeUs,
      value: pass.value,
      cells: track.cells.map(({ rule }, index) => ({
        rule: rule.name,
        version: rule.version,
        inherited: pass.inherited[index],
        state: pass.states[index]!.save(),
      })),
    })),
  };
}

/**
 * Takes up one device's rows; the device must be introduced. A rule that is unchanged, by version, goes on where it was.
 * Answers alerts that end incidents of rules that are gone or changed: nothing else would end them.
 */
export function restoreRows(
  host: RuleHost,
  deviceId: number,
  rows: readonly RuleStateRow[],
  series: ReadonlyMap<number, StoredSeries>,
): AlertRecord[] {
  const ended: AlertRecord[] = [];
  for (const saved of rows) {
    if (saved.rule !== NO_RULE) continue;
    if (saved.seriesId === NO_SERIES) restoreLine(host, deviceId, saved.state);
    else restoreTrack(host, deviceId, saved, series);
  }
  for (const saved of rows) {
    if (saved.rule !== NO_RULE) restoreCell(host, deviceId, saved, series, ended);
  }
  return ended;
}

function restoreLine(host: RuleHost, deviceId: number, text: string): void {
  const saved = parse(lineSchema, text);
  if (saved === undefined) return;
  const { line } = host.devices.get(deviceId)!;
  for (const [epochId, sequence] of saved.frontier) line.frontier.set(epochId, sequence);
  line.holes.push(...saved.holes);
  line.generation = saved.generation;
}

function restoreTrack(
  host: RuleHost,
  deviceId: number,
  { seriesId, state }: RuleStateRow,
  series: ReadonlyMap<number, StoredSeries>,
): void {
  const saved = parse(trackSchema, state);
  const declaration = series.get(seriesId);
  if (saved === undefined || declaration === undefined) return;
  const track = host.track(deviceId, seriesId, declaration);
  track.timeUs = saved.timeUs ?? Number.NEGATIVE_INFINITY;
  track.generation = saved.generation;
  for (const savedPass of saved.passes) {
    const pass = newPass(savedPass.generation, track);
    pass.timeUs = savedPass.timeUs ?? Number.NEGATIVE_INFINITY;
    pass.value = savedPass.value ?? Number.NaN;
    for (const [index, { rule }] of track.cells.entries()) {
      const found = savedPass.cells.find((cell) => cell.rule === rule.name && cell.version === rule.version);
      if (found === undefined) continue;
      const restored = track.cells[index]!.rule.restore(found.state, track.identity);
      if (restored === undefined) continue;
      pass.states[index] = restored;
      pass.inherited[index] = found.inherited;
    }
    track.passes.push(pass);
  }
}

function restoreCell(
  host: RuleHost,
  deviceId: number,
  { seriesId, rule, state }: RuleStateRow,
  series: ReadonlyMap<number, StoredSeries>,
  ended: AlertRecord[],
): void {
  const saved = parse(cellSchema, state);
  const declaration = series.get(seriesId);
  if (saved === undefined || declaration === undefined) return;
  const track = host.series.get(seriesId) ?? host.track(deviceId, seriesId, declaration);
  const cell = track.cells.find((candidate) => candidate.rule.name === rule);
  const restored = cell?.rule.restore(saved.state, track.identity, track.timeUs);
  if (cell !== undefined && restored !== undefined) {
    cell.state = restored;
    cell.notified = saved.notified;
    cell.touch = saved.touch;
    return;
  }
  const { phase, onset, sinceUs } = saved.state;
  if (phase !== 'firing' || onset === undefined || sinceUs === undefined) return;
  const { identity, timeUs } = track;
  ended.push({
    deviceId,
    seriesId,
    alert: {
      number: 0,
      incidentId: incidentId(rule, identity, onset),
      state: AlertState.RESOLVED,
      rule,
      ruleVersion: saved.version,
      severity: saved.severity,
      device: identity.device,
      seriesName: identity.name,
      seriesUnit: identity.unit,
      seriesLabels: { ...identity.labels },
      value: Number.NaN,
      startedAtUs: sinceUs,
      transitionAtUs: Math.max(sinceUs, timeUs),
      labels: {},
      annotations: { reason: 'the rule was changed or removed' },
      late: !saved.notified,
      retracted: false,
      authority: RuleAuthority.COLLECTOR,
    },
  });
}

function parse<S extends v.GenericSchema>(schema: S, text: string): v.InferOutput<S> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(text));
    return result.success ? result.output : undefined;
  } catch {
    // Written by a version that kept it otherwise: the rule begins anew, as after a change.
    return undefined;
  }
}
