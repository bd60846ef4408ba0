import { CASE_START_US, type CaseEvent } from './edge-cases.js';
import type { Rule } from './rule.js';

/**
 * For tests: rules over one series judged as docs/ALERTS.md defines them, from all readings at once and without regard to
 * speed. It shares nothing with the evaluator but the rule.
 */

interface Reading {
  t: number;
  v: number;
  /** Readings are missing before this one. */
  hole: boolean;
  /** Time that had passed before they went missing. */
  passed: number;
  /** They are missing up to this time only. */
  resumed: number | undefined;
}

interface Said {
  t: number;
  /** When an incident that begins with it began. */
  since: number;
  is: 'satisfied' | 'held' | 'clear';
}

export function reference(rule: Rule, events: readonly CaseEvent[]): string[] {
  const readings: Reading[] = [];
  let hole = false;
  let passed = Number.NEGATIVE_INFINITY;
  let resumed: number | undefined;
  let end = Number.NEGATIVE_INFINITY;
  for (const event of events) {
    if (event.kind === 'hole') {
      if (!hole) passed = end;
      hole = true;
      resumed = undefined;
    } else if (event.kind === 'resumed') resumed = event.timeUs;
    else if (event.kind === 'until') end = event.timeUs;
    else if (event.kind === 'reading' && !Number.isNaN(event.value)) {
      readings.push({ t: event.timeUs, v: Number(event.value), hole, passed, resumed });
      hole = false;
      resumed = undefined;
    }
  }
  // What time has passed without a reading is like a reading right after it that nobody judges.
  const tail: Reading = { t: Math.max(end, readings.at(-1)?.t ?? end) + 1, v: Number.NaN, hole, passed, resumed };
  const all = [...readings, tail];
  const every = rule.window === undefined ? 0 : (rule.window.every ?? rule.window.over / 10) * 1000;
  const gap = Math.max(rule.gap * 1000, every);
  const holes = all.flatMap((r, i) =>
    r.hole && i > 0 ? [{ from: Math.max(all[i - 1]!.t, r.passed), to: r.resumed ?? r.t }] : [],
  );
  const covered = (a: number, b: number) => b - a <= gap && !holes.some(({ from, to }) => from < b && to > a);
  return lifecycle(rule, signalsOf(rule, readings, tail), covered);
}

function signalsOf(rule: Rule, readings: readonly Reading[], tail: Reading): Said[] {
  const gap = rule.gap * 1000;
  /** No data is missing between two readings, given by index. */
  const joined = (from: number, to: number, gapMatters = true) => {
    for (let i = from + 1; i <= to; i += 1) {
      if (readings[i]!.hole || (gapMatters && readings[i]!.t - readings[i - 1]!.t > gap)) return false;
    }
    return true;
  };
  if (rule.absent !== undefined) {
    const wanted = (rule.absent as number) * 1000;
    return readings.flatMap(({ t }, i): Said[] => {
      const next = readings[i + 1] ?? tail;
      const known = next.hole && t + wanted <= next.passed;
      const due = known ? t + wanted : Math.max(t, next.resumed ?? t) + wanted;
      const passed = known || ((!next.hole || next.resumed !== undefined) && next.t > due);
      const clear: Said = { t, since: t, is: 'clear' };
      return passed ? [clear, { t: due, since: t, is: 'satisfied' }] : [clear];
    });
  }
  const change = rule.rate ?? rule.delta;
  if (change !== undefined) {
    return readings.flatMap(({ t, v }, i): Said[] => {
      const base = readings.findLastIndex((r) => r.t <= t - change.over * 1000);
      if (base < 0 || !joined(base, i)) return [];
      const difference = v - readings[base]!.v;
      const perMs = rule.rate === undefined ? undefined : rule.rate.per;
      const value = perMs === undefined ? difference : difference * ((perMs * 1000) / (t - readings[base]!.t));
      return [{ t, since: t, is: compare(rule, value) }];
    });
  }
  if (rule.window !== undefined) {
    const over = rule.window.over * 1000;
    const every = (rule.window.every ?? rule.window.over / 10) * 1000;
    const counting = rule.window.function === 'count' || rule.window.function === 'sum';
    const said: Said[] = [];
    if (readings.length === 0) return [];
    const last = tail.t - 1;
    for (let g = Math.ceil(readings[0]!.t / every) * every; g <= last; g += every) {
      const newest = readings.findLastIndex((r) => r.t <= g);
      const next = readings[newest + 1] ?? tail;
      const inHole = next.hole && g > Math.max(readings[newest]!.t, next.passed);
      if (inHole && (!counting || next.resumed === undefined)) continue;
      if (!counting && g - readings[newest]!.t > gap) continue;
      const first = readings.findIndex((_, i) => i <= newest && joined(i, newest, !counting));
      // Silence after missing readings counts, but not before a series was there.
      const resumedUs = counting && first > 0 ? readings[first]!.resumed : undefined;
      const covered = inHole ? next.resumed! : (resumedUs ?? readings[first]!.t);
      if (covered > g - over) continue;
      const value = aggregate(
        rule.window,
        readings.filter(({ t }) => t > g - over && t <= g).map(({ v }) => v),
      );
      if (!Number.isNaN(value)) said.push({ t: g, since: g, is: compare(rule, value) });
    }
    return said;
  }
  return readings.map(({ t, v }) => ({ t, since: t, is: compare(rule, v) }));
}

function aggregate(window: NonNullable<Rule['window']>, values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  const mean = sum / values.length;
  switch (window.function) {
    case 'count':
      return values.length;
    case 'sum':
      return sum;
    case 'avg':
      return mean;
    case 'min':
      return values.length === 0 ? Number.NaN : Math.min(...values);
    case 'max':
      return values.length === 0 ? Number.NaN : Math.max(...values);
    case 'stddev':
      return Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
    case 'quantile':
      return (
        values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(window.quantile! * values.length) - 1)] ?? Number.NaN
      );
  }
}

function compare({ above, below, outside, equals, clear }: Rule, value: number): Said['is'] {
  if (equals !== undefined) return value === equals ? 'satisfied' : 'clear';
  if (outside !== undefined) {
    const [low, high] = outside as [number, number];
    const [clearLow, clearHigh] = (clear ?? outside) as [number, number];
    if (value < low || value > high) return 'satisfied';
    return value >= clearLow && value <= clearHigh ? 'clear' : 'held';
  }
  const back = (clear as number | undefined) ?? above ?? below!;
  if (above !== undefined) return value > above ? 'satisfied' : value <= back ? 'clear' : 'held';
  return value < below! ? 'satisfied' : value >= back ? 'clear' : 'held';
}

function lifecycle(rule: Rule, signals: readonly Said[], covered: (a: number, b: number) => boolean): string[] {
  const seconds = (t: number) => (t - CASE_START_US) / 1e6;
  const story: string[] = [];
  /** Covered time from one signal to another. */
  const time = (from: number, to: number) => {
    let sum = 0;
    for (let i = from + 1; i <= to; i += 1) {
      const [a, b] = [signals[i - 1]!.t, signals[i]!.t];
      if (covered(a, b)) sum += b - a;
    }
    return sum;
  };
  let onset = -1;
  let firing = false;
  let clearFrom = -1;
  for (const [i, { t, since, is }] of signals.entries()) {
    if (!firing) {
      if (is !== 'satisfied') onset = -1;
      else if (onset < 0) onset = i;
      if (onset >= 0 && time(onset, i) >= rule.for * 1000) {
        firing = true;
        clearFrom = -1;
        const began = onset === i ? since : signals[onset]!.since;
        story.push(`firing@${seconds(t)}${began === t ? '' : ` since ${seconds(began)}`}`);
      }
    } else {
      if (is !== 'clear') clearFrom = -1;
      else if (clearFrom < 0) clearFrom = i;
      if (clearFrom >= 0 && time(clearFrom, i) >= rule.keep_firing_for * 1000) {
        story.push(`resolved@${seconds(t)}`);
        firing = false;
        onset = -1;
      }
    }
  }
  return story;
}
