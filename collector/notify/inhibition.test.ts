import { describe, expect, it } from 'vitest';
import { DEVICE_DOWN, type FiringIncident, Inhibition } from './inhibition.js';

function incident(name: string, labels: Record<string, string>): FiringIncident {
  return { incident: name, labels: new Map(Object.entries({ tenant: '', device: 'pump', series: '', ...labels })) };
}

describe('inhibition', () => {
  const down = incident('down', { rule: 'silent' });
  const hot = incident('hot', { rule: 'hot', series: 'temperature' });
  const byDefault = new Inhibition([DEVICE_DOWN]);

  it('lets a device that is not heard hide the incidents of its series', () => {
    const sources = byDefault.sourcesAmong([down, hot]);
    expect(sources.hiding(hot)).toEqual(['down']);
    expect(sources.hiding(down)).toEqual([]);
    expect(byDefault.isTarget(hot.labels)).toBe(true);
    expect(byDefault.isTarget(down.labels)).toBe(false);
  });

  it('goes no further than the device and its tenant', () => {
    const sources = byDefault.sourcesAmong([down]);
    expect(sources.hiding(incident('a', { device: 'valve', series: 'x' }))).toEqual([]);
    expect(sources.hiding(incident('b', { tenant: 'acme', series: 'x' }))).toEqual([]);
  });

  it('hides nothing when nothing fires that could', () => {
    expect(byDefault.sourcesAmong([hot]).hiding(incident('other', { series: 'y' }))).toEqual([]);
  });

  it('of the same kind on both sides is mutual for nobody', () => {
    const rule = { source: { severity: '*' }, target: { severity: 'warning' }, equal: [] };
    const one = incident('one', { severity: 'warning' });
    const two = incident('two', { severity: 'warning' });
    expect(new Inhibition([rule]).sourcesAmong([one, two]).hiding(one)).toEqual([]);
  });

  it('takes a label that is missing for an empty one, on both sides alike', () => {
    const rule = { source: { severity: 'critical' }, target: { severity: 'warning' }, equal: ['line'] };
    const critical = incident('critical', { severity: 'critical' });
    const inhibition = new Inhibition([rule]);
    const sources = inhibition.sourcesAmong([critical]);
    expect(sources.hiding(incident('same', { severity: 'warning', line: '' }))).toEqual(['critical']);
    expect(sources.hiding(incident('other', { severity: 'warning', line: '7' }))).toEqual([]);
  });
});
