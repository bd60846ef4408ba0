import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import { incidentId } from '@tributary/core/rules/incident-id';
import type { Transition } from '@tributary/core/rules/rule-instance';
import { savedOnsetSchema } from '@tributary/core/rules/saved-instance';
import type { Attributes } from '@tributary/core/rules/selection';
import { TRANSITION_LIMITS } from '@tributary/core/rules/transition-limits';
import type { Alert, AlertState, RuleAuthority } from '@tributary/proto/gen/tributary/v1/alert';
import * as v from 'valibot';
import type { LineMoment } from '../buffer/buffer.js';

// Written as numbers, because the generated enumerations would load gRPC.
export const FIRING: AlertState.FIRING = 2;
export const RESOLVED: AlertState.RESOLVED = 3;
const DEVICE: RuleAuthority.DEVICE = 2;

const textsSchema = v.record(v.string(), v.string());

export const seriesIdentitySchema = v.object({
  tenant: v.string(),
  device: v.string(),
  name: v.string(),
  unit: v.string(),
  labels: textsSchema,
});

/** A moment of a segment's line; segment 0 is Unix time. Microseconds. */
const momentSchema = v.object({ segment: v.number(), us: v.number() });

/** A transition of an incident of this device's own, as plain JSON: what becomes an item, and an alert to act upon. */
export const localTransitionSchema = v.object({
  rule: v.string(),
  version: v.string(),
  severity: v.string(),
  to: v.picklist(['firing', 'resolved']),
  series: seriesIdentitySchema,
  onset: savedOnsetSchema,
  started: momentSchema,
  at: momentSchema,
  /** Null where there was no value: JSON knows no NaN. */
  value: v.nullable(v.number()),
  labels: textsSchema,
  annotations: textsSchema,
});

export type LocalTransition = v.InferOutput<typeof localTransitionSchema>;

/** What a rule has found, with its texts. `place` says where a moment that it names lies. */
export function localTransition(
  rule: CompiledRule,
  { to, series, onset, startedAtUs, atUs, value }: Transition,
  attributes: Attributes,
  place: (us: number) => LineMoment,
): LocalTransition {
  const { name, version, severity } = rule;
  const { device, name: seriesName, unit, labels } = series;
  const values = { value, device, series: seriesName, unit, labels, attributes, rule: name, severity };
  return {
    rule: name,
    version,
    severity,
    to,
    series: { ...series, labels: { ...labels } },
    onset: { ...onset },
    started: place(startedAtUs),
    at: place(atUs),
    value: Number.isNaN(value) ? null : value,
    labels: rule.labels(values),
    annotations: rule.annotations(values),
  };
}

/** Microseconds since the Unix epoch of a moment of a segment's line, as far as it is known by now. */
export type WallTime = (segment: number, us: number) => number;

/** The transition as an alert to act upon; number 0, since no collector has seen it. */
export function localAlert(transition: LocalTransition, wallUs: WallTime): Alert {
  const { rule, series, onset, to, started, at, version, severity, value, labels, annotations } = transition;
  return {
    number: 0,
    incidentId: incidentId(rule, series, onset),
    state: to === 'firing' ? FIRING : RESOLVED,
    rule,
    ruleVersion: version,
    severity,
    device: series.device,
    seriesName: series.name,
    seriesUnit: series.unit,
    seriesLabels: { ...series.labels },
    value: value ?? Number.NaN,
    startedAtUs: wallUs(started.segment, started.us),
    transitionAtUs: wallUs(at.segment, at.us),
    labels: { ...labels },
    annotations: { ...annotations },
    late: false,
    retracted: false,
    authority: DEVICE,
  };
}

/** Texts cut to what a collector takes; what is left out would have the whole transition refused. */
export function clippedTexts(
  texts: Readonly<Record<string, string>>,
  valueBytesMax: number = TRANSITION_LIMITS.valueBytesMax,
): Record<string, string> {
  const { entriesMax, keyBytesMax } = TRANSITION_LIMITS;
  return Object.fromEntries(
    Object.entries(texts)
      .filter(([key]) => key !== '' && Buffer.byteLength(key) <= keyBytesMax)
      .slice(0, entriesMax)
      .map(([key, text]) => [key, clipped(text, valueBytesMax)]),
  );
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a collector refuses
const CONTROL = /[\u0000-\u001f\u007f\ufffd]+/g;

function clipped(text: string, bytesMax: number): string {
  const plain = Buffer.from(text).toString('utf8').replace(CONTROL, ' ');
  const bytes = Buffer.from(plain);
  if (bytes.length <= bytesMax) return plain;
  // A character that is cut in two decodes to the replacement character.
  return bytes.toString('utf8', 0, bytesMax).replace(/\ufffd+$/, '');
}
