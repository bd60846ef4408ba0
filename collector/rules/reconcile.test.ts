import { describe, expect, it } from 'vitest';
import type { StoredIncident } from '../store/incidents.js';
import { type Correction, reconcile } from './reconcile.js';
import type { Truth } from './truth.js';

const id = (name: string) => new Uint8Array(16).fill(name.charCodeAt(0));

function truth(name: string, startedAtUs: number, endUs?: number, more: Partial<Truth> = {}): Truth {
  const onset = { epoch: '', sequence: 1, row: 0, gridUs: 0 };
  const series = { tenant: '', device: 'd', name: 'x', unit: '', labels: {} };
  const incident = { onset, id: id(name), series, startedAtUs, firedAtUs: startedAtUs, notified: false };
  const end =
    endUs === undefined ? undefined : { to: 'resolved' as const, onset, startedAtUs, atUs: endUs, value: 0, series };
  return { incident, isInherited: false, value: 1, end, ...more };
}

function recorded(
  name: string,
  startedAtUs: number,
  endUs?: number,
  more: Partial<StoredIncident> = {},
): StoredIncident {
  const fields = { startedAtUs, firedAtUs: startedAtUs, resolvedAtUs: endUs, notified: false, retracted: false };
  return { incidentId: id(name), resolvedBy: '', ...fields, ...more } as StoredIncident;
}

const nameOf = (bytes: Uint8Array) => String.fromCharCode(bytes[0]!);

function words(correction: Correction): string {
  const { kind } = correction;
  if (kind === 'new') return `new ${nameOf(correction.truth.incident.id)}`;
  const told = 'tellsEnd' in correction && correction.tellsEnd ? ' told' : '';
  const name = nameOf(correction.recorded.incidentId);
  if (kind !== 'corrected') return `${kind} ${name}${told}`;
  const { incident, end } = correction.truth;
  return `corrected ${name} to ${incident.startedAtUs}..${end?.atUs ?? ''}${told}`;
}

function run(truths: Truth[], records: StoredIncident[], fromUs = Number.NEGATIVE_INFINITY) {
  const { corrections, open } = reconcile(truths, records, fromUs);
  return { did: corrections.map(words), open: open && `${nameOf(open.id)}${open.notified ? ' told' : ''}` };
}

const told = { notified: true };

describe('what is recorded against what is true', () => {
  it('is left alone where it shows just that', () => {
    const truths = [truth('a', 10, 20), truth('b', 30)];
    expect(run(truths, [recorded('a', 10, 20), recorded('b', 30, undefined, told)])).toEqual({
      did: [],
      open: 'b told',
    });
  });

  it('gets what is missing, and loses what is none', () => {
    expect(run([truth('a', 10, 20)], [recorded('b', 40, 50)])).toEqual({
      did: ['new a', 'retracted b'],
      open: undefined,
    });
  });

  it('tells of the end of what was told and is over, or none at all', () => {
    expect(run([truth('a', 10, 20)], [recorded('a', 10, undefined, told)]).did).toEqual(['corrected a to 10..20 told']);
    expect(run([], [recorded('a', 10, undefined, told)]).did).toEqual(['retracted a told']);
    expect(run([truth('a', 10, 20)], [recorded('a', 10, 25, told)]).did).toEqual(['corrected a to 10..20']);
  });

  it('keeps the id that was told for the incident that contains its beginning', () => {
    const { did, open } = run([truth('a', 10)], [recorded('b', 30, undefined, told)]);
    expect([did, open]).toEqual([['corrected b to 10..'], 'b told']);
    // And again: by then the record shows the true beginning under the other id.
    expect(run([truth('a', 10)], [recorded('b', 10, undefined, told)])).toEqual({ did: [], open: 'b told' });
  });

  it('has a late record give way to what was told', () => {
    const { did, open } = run([truth('a', 10)], [recorded('a', 10), recorded('b', 30, undefined, told)]);
    expect([did, open]).toEqual([['corrected b to 10..', 'retracted a'], 'b told']);
  });

  it('gives what goes on the id of what was told and has not ended, before one that has', () => {
    const records = [recorded('b', 10, 40, told), recorded('c', 50, undefined, told)];
    expect(run([truth('a', 10)], records)).toEqual({ did: ['corrected c to 10..', 'retracted b'], open: 'c told' });
  });

  it('gives what began later its own beginning, though its record has shown that of the one before', () => {
    const truths = [truth('a', 10, 40, { isInherited: true }), truth('b', 50)];
    const { did, open } = run(truths, [recorded('b', 10, undefined, told)], 30);
    expect([did, open]).toEqual([['new a', 'corrected b to 50..'], 'b told']);
  });

  it('corrects when it fired, of what a checkpoint knows to have begun before', () => {
    const one = truth('a', 10, 60);
    one.incident = { ...one.incident, firedAtUs: 50 };
    const records = [recorded('a', 10, 60, { ...told, firedAtUs: 20 })];
    expect(run([one], records, 30).did).toEqual(['corrected a to 10..60']);
  });

  it('opens again what goes on, and leaves an end by hand as it is', () => {
    expect(run([truth('a', 10)], [recorded('a', 10, 20, told)]).did).toEqual(['corrected a to 10..']);
    expect(run([truth('a', 10)], [recorded('a', 10, 20, { ...told, resolvedBy: 'ada' })]).did).toEqual([]);
  });

  it('takes back a retraction', () => {
    expect(run([truth('a', 10, 20)], [recorded('a', 10, 20, { retracted: true })]).did).toEqual([
      'corrected a to 10..20',
    ]);
  });

  it('leaves alone what was over before that, and ends what nobody knows any more', () => {
    expect(run([], [recorded('a', 10, 20)], 30).did).toEqual([]);
    expect(run([truth('b', 20, 40)], [recorded('a', 10, 20, told)], 30).did).toEqual(['new b']);
    expect(run([], [recorded('a', 10)], 30).did).toEqual(['ended a']);
    // What goes on from before the first reading that is left keeps its beginning.
    const { did, open } = run([truth('b', 30)], [recorded('a', 10, undefined, told)], 30);
    expect([did, open]).toEqual([[], 'a told']);
  });
});
