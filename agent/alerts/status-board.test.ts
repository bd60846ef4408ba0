import { describe, expect, it } from 'vitest';
import { RESOLVED } from './alert-state.js';
import { sampleAlert } from './sample-alert.js';
import { StatusBoard } from './status-board.js';

const heat = { name: 'heat', firing: 'too warm', resolved: 'ok' };
const fires = (incident: number) => sampleAlert(incident);
const ends = (incident: number) => sampleAlert(incident, { state: RESOLVED });

describe('a status', () => {
  it('is that of rest before the first alert', () => {
    expect(new StatusBoard([heat]).shown).toEqual([{ name: 'heat', value: 'ok', incidents: 0 }]);
  });

  it('stays until the last of its incidents has ended, over a restart too', () => {
    const board = new StatusBoard([heat]);
    board.apply(heat, fires(1));
    board.apply(heat, fires(2));
    expect(board.apply(heat, fires(2))?.incidents).toHaveLength(32);
    const stored = board.apply(heat, ends(1))!;
    expect(stored.value).toBe('too warm');
    expect(board.shows('heat', fires(2).incidentId)).toBe(true);
    expect(board.shows('heat', fires(1).incidentId)).toBe(false);
    const later = new StatusBoard([heat]);
    later.restore([stored]);
    expect(later.shown).toMatchObject([{ value: 'too warm', incidents: 1, since: '2026-01-01T00:00:01.000Z' }]);
    expect(later.apply(heat, ends(2))?.value).toBe('ok');
    expect(later.shown).toMatchObject([{ value: 'ok', incidents: 0 }]);
  });

  it('has the values of the configuration of now', () => {
    const board = new StatusBoard([heat]);
    const stored = board.apply(heat, fires(1))!;
    const later = new StatusBoard([{ ...heat, firing: 'hot' }]);
    later.restore([stored, { ...stored, name: 'gone' }]);
    expect(later.shown).toMatchObject([{ name: 'heat', value: 'hot' }]);
  });

  it('counts a thousand incidents and says when there are more', () => {
    const board = new StatusBoard([heat]);
    for (let at = 1; at <= 1_024; at++) expect(board.apply(heat, fires(at))).toBeDefined();
    expect(board.apply(heat, fires(1_025))).toBeUndefined();
    expect(board.apply(heat, ends(1_024))).toBeDefined();
    expect(board.apply(heat, fires(1_025))).toBeDefined();
  });
});
