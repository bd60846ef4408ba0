import { compileRule } from '@tributary/core/rules/compiled-rule';
import { parseRules } from '@tributary/core/rules/rule';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { describe, expect, it } from 'vitest';
import { RuleHost } from './rule-host.js';
import { RuleIndex } from './rule-index.js';

function compiled(text: string) {
  return parseRules(text, 'rules.yaml').map(compileRule);
}

const names = (rules: readonly { name: string }[]) => rules.map(({ name }) => name);

describe('the index of rules', () => {
  const index = new RuleIndex(
    compiled(`rules:
      - {name: exact, select: {name: temperature-1}, above: 1}
      - {name: prefix, select: {name: "temp*"}, above: 1}
      - {name: all, select: {name: "*"}, above: 1}
      - {name: other, select: {name: "pressure-?"}, above: 1}
      - name: members
        any: [{select: {name: "pressure-*"}, above: 1}, {select: {name: temperature-1}, above: 1}]
      - {name: gone, absent: {for: 1m, of: device}}`),
  );

  it('names those that may be for a series, in the order of the file', () => {
    expect(names(index.candidates('temperature-1'))).toEqual(['exact', 'prefix', 'all', 'members']);
    expect(names(index.candidates('pressure-1'))).toEqual(['all', 'other', 'members']);
    expect(names(index.candidates('p'))).toEqual(['all']);
    expect(names(index.ofDevices)).toEqual(['gone']);
  });

  it('asks few of very many', () => {
    const rules = Array.from({ length: 10_000 }, (_, at) => `{name: r${at}, select: {name: s${at}}, above: 1}`);
    const large = new RuleIndex(compiled(`rules: [${rules.join(', ')}]`));
    expect(names(large.candidates('s77'))).toEqual(['r77']);
    expect(large.candidates('t')).toEqual([]);
  });
});

describe('the host of rules', () => {
  it('has a limit of what it watches, and says what it had no room for', () => {
    const host = new RuleHost(compiled('rules: [{name: all, select: {name: "*"}, above: 1}]'), 2);
    const device = host.introduce(1, { tenant: '', device: 'd' }, {});
    for (let id = 1; id <= 5; id += 1) {
      host.trackOf(device, id, { name: `s${id}`, unit: '', labels: {}, type: ValueType.DOUBLE });
    }
    expect([host.instances, host.instancesRefused, device.tracks.size]).toEqual([2, 3, 2]);
    host.forget(1);
    expect(host.instances).toBe(0);
  });

  it('matches a device anew when its attributes change', () => {
    const host = new RuleHost(
      compiled('rules: [{name: north, select: {name: "*", attributes: {site: north}}, above: 1}]'),
    );
    const name = { tenant: '', device: 'd' };
    const device = host.introduce(1, name, { site: 'south' });
    const declaration = { name: 's', unit: '', labels: {}, type: ValueType.DOUBLE };
    expect(host.trackOf(device, 7, declaration)).toBeUndefined();
    expect(host.setAttributes(device, { site: 'north' })).toEqual([]);
    expect(host.trackOf(device, 7, declaration)?.cells).toHaveLength(1);
    expect(host.setAttributes(device, { site: 'south' })).toHaveLength(1);
    expect([host.trackOf(device, 7, declaration), host.instances]).toEqual([undefined, 0]);
  });

  it('shows texts to rules that ask for texts, and to no others', () => {
    const host = new RuleHost(
      compiled('rules: [{name: text, select: {name: s}, equals: failed}, {name: number, select: {name: s}, above: 1}]'),
    );
    const device = host.introduce(1, { tenant: '', device: 'd' }, {});
    const rulesOf = (id: number, type: ValueType) =>
      host.trackOf(device, id, { name: 's', unit: '', labels: {}, type })?.cells.map(({ rule }) => rule.name);
    expect(rulesOf(1, ValueType.STRING)).toEqual(['text']);
    expect(rulesOf(2, ValueType.DOUBLE)).toEqual(['number']);
  });
});
