import type { CompiledRule } from '@tributary/core/rules/compiled-rule';
import type { Onset } from '@tributary/core/rules/incident-id';
import type { RuleInstance } from '@tributary/core/rules/rule-instance';
import type { SeriesIdentity } from '@tributary/core/rules/series-identity';

/** One rule for one series. */
export interface Cell {
  rule: CompiledRule;
  state: RuleInstance;
  /** The incident of the state was sent to the device as firing; its end must be sent too. */
  notified: boolean;
  /** The incident whose onset was the series' first reading after a hole: history may prove that it began earlier. */
  touch: Touch | undefined;
  changed: boolean;
}

export interface Touch {
  generation: number;
  onset: Onset;
  fired: boolean;
}

/** How far history has come in one hole, with the states of the cells as they were before the hole. */
export interface HistoryPass {
  generation: number;
  timeUs: number;
  value: number;
  states: RuleInstance[];
  /** For each cell: its state is still the incident that the device was told of before the hole. */
  inherited: boolean[];
}

/** What rules know of one series. */
export interface SeriesTrack {
  deviceId: number;
  seriesId: number;
  identity: SeriesIdentity;
  /** Event time of the newest reading that moved the state, microseconds since the Unix epoch. */
  timeUs: number;
  /** The newest hole of the device that this track knows of. */
  generation: number;
  cells: Cell[];
  passes: HistoryPass[];
  changed: boolean;
}

export function newCell(rule: CompiledRule, identity: SeriesIdentity): Cell {
  return { rule, state: rule.newInstance(identity), notified: false, touch: undefined, changed: false };
}

export function newPass(generation: number, { cells, identity }: Pick<SeriesTrack, 'cells' | 'identity'>): HistoryPass {
  return {
    generation,
    timeUs: Number.NEGATIVE_INFINITY,
    value: Number.NaN,
    states: cells.map(({ rule }) => rule.newInstance(identity)),
    inherited: cells.map(() => false),
  };
}

/** Keeps what is known now as the beginning of history in a hole. Nothing needs keeping where no rule is active. */
export function snapshot(track: SeriesTrack, generation: number): void {
  if (track.cells.every((cell) => cell.state.phase === 'inactive')) return;
  track.passes.push({
    generation,
    timeUs: track.timeUs,
    value: Number.NaN,
    states: track.cells.map(({ rule, state }) => rule.restore(state.save(), track.identity)!),
    inherited: track.cells.map((cell) => cell.notified && cell.state.phase === 'firing'),
  });
}
