import { describe, expect, it } from 'vitest';
import { cellNoteName } from './rule-cell.js';
import { keptRulesNote, lineNote, readRuleNotes } from './rule-notes.js';

const series = { tenant: '', device: 'kiln', name: 't', unit: '', labels: {} };
const cell = { rule: 'hot', series, line: 'monotonic', saved: { version: 'v', phase: 'inactive' } };
const name = cellNoteName('hot', series);
const line = lineNote({ pieces: [{ segment: 1, fromUs: 5, shiftUs: 4 }], lastUs: 9 });

describe('what an earlier start has left', () => {
  it('is read as it was written', () => {
    const rules = { version: 'v', text: 'rules: []' };
    const notes = [keptRulesNote(rules), line, { name, text: JSON.stringify(cell) }];
    const found = readRuleNotes(notes);
    expect(found).toMatchObject({ rules, unreadable: 0, line: { lastUs: 9 } });
    expect([...found.cells]).toEqual([[name, cell]]);
  });

  it('is left out where it cannot be read, and without its line of time no state means anything', () => {
    const torn = { name, text: JSON.stringify(cell).slice(1) };
    const other = { name: cellNoteName('other', series), text: JSON.stringify({ ...cell, line: 'curved' }) };
    const found = readRuleNotes([line, torn, other, { name: 'whatever', text: '' }]);
    expect([found.cells.size, found.unreadable, found.rules.version]).toEqual([0, 3, '']);
    const lost = readRuleNotes([{ name, text: JSON.stringify(cell) }]);
    expect([lost.cells.size, lost.unreadable]).toEqual([0, 1]);
  });

  it('has a name for each rule and series, whatever the order of labels', () => {
    const labelled = (labels: Record<string, string>) => cellNoteName('hot', { ...series, labels });
    expect(labelled({ a: '1', b: '2' })).toBe(labelled({ b: '2', a: '1' }));
    expect(labelled({ a: '1' })).not.toBe(name);
    expect(cellNoteName('warm', series)).not.toBe(name);
    expect(name.length).toBeLessThan(40);
  });
});
