import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ValueType } from '@tributary/proto/gen/tributary/v1/series';
import { afterAll, describe, expect, it } from 'vitest';
import { checkRules } from './check-rules.js';
import type { KnownSeries } from './known-series.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-check-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'rules.yaml');

function series(device: string, name: string, changes: Partial<KnownSeries['identity']> & { type?: ValueType } = {}) {
  const { type = ValueType.DOUBLE, ...identity } = changes;
  const attributes = device.startsWith('kiln') ? { site: 'north' } : {};
  const known: KnownSeries = {
    identity: { tenant: '', device, name, unit: 'Cel', labels: { room: 'a' }, ...identity },
    attributes,
    type,
  };
  return known;
}

const KNOWN = [
  series('kiln-1', 'temperature'),
  series('kiln-1', 'door', { type: ValueType.BOOLEAN, unit: '' }),
  series('kiln-2', 'temperature'),
  series('oven-1', 'humidity', { unit: '%', labels: { room: 'b' } }),
  series('oven-1', 'state', { type: ValueType.STRING }),
];

async function* all(known: readonly KnownSeries[]): AsyncGenerator<KnownSeries> {
  for (const one of known) yield await Promise.resolve(one);
}

async function check(rules: string, known: readonly KnownSeries[] | 'unasked' = KNOWN, seriesMax = 10) {
  writeFileSync(file, `rules:\n${rules}`);
  return checkRules(file, known === 'unasked' ? undefined : all(known), seriesMax);
}

async function warnings(rules: string, seriesMax?: number): Promise<string[]> {
  const found = await check(rules, KNOWN, seriesMax);
  expect(found.problems).toEqual([]);
  return found.warnings.map(({ line, column, field, message }) => `${line}:${column}: ${field}: ${message}`);
}

describe('a check of rules', () => {
  it('answers all problems, however many there are', async () => {
    const bad = Array.from({ length: 30 }, (_, index) => `  - { name: r${index}, select: { name: x }, abvoe: 1 }\n`);
    const { problems, rules } = await check(bad.join(''));
    expect(problems).toHaveLength(30);
    expect(problems[29]).toMatchObject({
      line: 31,
      field: 'rules[29].abvoe',
      message: expect.stringMatching(/did you mean above\?/),
    });
    expect(rules).toEqual([]);
  });

  it('sums up the rules, with what they watch where the series are known', async () => {
    const text = '  - { name: hot, select: { name: temp* }, outside: [10, 80], clear: [20, 70], for: 30s }\n';
    const summary = {
      rule: 'hot',
      severity: 'warning',
      evaluate: 'collector',
      condition: { outside: [10, 80], clear: [20, 70] },
      select: { name: 'temp*' },
      for: '30s',
    };
    expect((await check(text)).rules).toMatchObject([{ ...summary, series: 2, devices: 2 }]);
    const { rules, warnings: none } = await check(text, 'unasked');
    expect(rules).toMatchObject([summary]);
    expect(rules[0]).not.toHaveProperty('series');
    expect(none).toEqual([]);
  });

  it('counts the devices of a rule that watches devices, and the series of one over several', async () => {
    const { rules, warnings: none } =
      await check(`  - { name: away, select: { device: kiln-* }, absent: { for: 5m, of: device } }
  - name: both
    all: [ { select: { name: door }, equals: true }, { select: { name: temperature }, above: 1 } ]
`);
    expect(rules).toMatchObject([
      { rule: 'away', condition: { absent: { for: '5m', of: 'device' } }, series: 0, devices: 2 },
      { rule: 'both', series: 3, devices: 2 },
    ]);
    expect(none).toEqual([]);
    const typo =
      '  - { name: b, any: [ { select: { name: dor }, equals: true }, { select: { name: state }, equals: on } ] }\n';
    expect(await warnings(typo)).toEqual([
      '2:41: rules[0].any[0].select.name: no known series matches "dor"; did you mean door?',
    ]);
  });

  it.each([
    [
      '{ name: temprature }',
      ['2:32: rules[0].select.name: no known series matches "temprature"; did you mean temperature?'],
    ],
    ['{ name: humid* }', []],
    ['{ name: presure* }', [/no known series matches "presure\*"; there are temperature, door, humidity, state$/]],
    [
      '{ name: "*", device: klin-1 }',
      ['2:45: rules[0].select.device: no known device matches "klin-1"; did you mean kiln-1?'],
    ],
    ['{ name: "*", unit: cel }', ['2:43: rules[0].select.unit: no known unit matches "cel"; did you mean Cel?']],
    ['{ name: "*", labels: { room: c } }', [/labels\.room: no known label room matches "c"; did you mean a\?/]],
    ['{ name: "*", labels: { rom: a } }', [/labels\.rom: no known label rom matches "a"; none has one/]],
    ['{ name: "*", attributes: { site: nort } }', [/attribute site of a device matches "nort"; did you mean north\?/]],
    ['{ name: temprature, device: klin* }', [/select\.name: .*temperature/, /select\.device: .*klin\*/]],
    ['{ name: humidity, device: kiln-1 }', [/2:24: rules\[0\]\.select: no known series matches all of name, device/]],
  ])('warns of a selection that matches nothing: %s', async (select, expected) => {
    const found = await warnings(`  - { name: r, select: ${select}, above: 1 }\n`);
    expect(found).toHaveLength(expected.length);
    for (const [index, one] of expected.entries()) expect(found[index]).toMatch(one);
  });

  it('warns of series that a rule cannot judge, and of too many', async () => {
    expect(await warnings('  - { name: r, select: { name: "*" }, above: 1 }\n')).toEqual([
      '2:13: rules[0].name: 1 of the series that it selects have values that it cannot judge; they are not watched',
    ]);
    expect(await warnings('  - { name: r, select: { name: temperature }, above: 1 }\n', 1)).toEqual([
      '2:13: rules[0].name: it watches 2 series, more than 1; select fewer, or raise --series-max',
    ]);
  });

  it('says nothing of selections while nothing is known', async () => {
    const { warnings: found } = await check('  - { name: r, select: { name: x }, above: 1 }\n', []);
    expect(found).toMatchObject([{ message: expect.stringMatching(/no series is known yet/) }]);
  });
});
