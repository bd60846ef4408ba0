import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runTests, type TestFlags } from './test-command.js';

const folder = mkdtempSync(join(tmpdir(), 'tributary-trials-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

writeFileSync(
  join(folder, 'rules.yaml'),
  `rules:
  - name: too-hot
    select: { name: temperature, device: "kiln-*" }
    above: 90
    clear: 80
    for: 30s
    severity: critical
    labels: { team: ovens }
    annotations: { summary: "{{device}} has {{value}}" }
  - { name: door-open, select: { name: door }, equals: true }
  - { name: running, select: { name: motor, device: pump }, equals: true }
  - { name: full, select: { name: level }, above: 10, evaluate: device }
`,
);

async function run(text: string, flags: TestFlags = {}): Promise<{ passes: boolean; out: string }> {
  const file = join(folder, 'rules.test.yaml');
  writeFileSync(file, `rules: rules.yaml\ninterval: 10s\ntests:\n${text}`);
  let out = '';
  const passes = await runTests([file], flags, (part) => {
    out += part;
  });
  return { passes, out };
}

const good = `
  - name: a kiln that stays hot fires
    series: [ { device: kiln-1, name: temperature, unit: Cel, values: '80+5x3 95x4 85x2 79' } ]
    expect:
      - { at: 50s, firing: [] }
      - at: 60s
        firing:
          - rule: too-hot
            device: kiln-1
            series: temperature
            severity: critical
            value: 95
            startedAt: 30s
            labels: { team: ovens }
            annotations: { summary: kiln-1 has 95 }
      - { at: 90s, firing: [] }
    transitions:
      - { to: resolved, at: 90s, rule: too-hot, value: 79 }
      - { to: firing, at: 60s, rule: too-hot, recordedAt: 60s }
`;

const table: [about: string, text: string][] = [
  ['a story with a beginning and an end', good],
  [
    'history that comes late pages nobody',
    `
  - name: backfill
    devices: { kiln-1: { offline: [ { from: 90s, until: 400s } ] } }
    series: [ { device: kiln-1, name: temperature, values: '50x10 95x20 50x20' } ]
    expect: [ { at: 200s, firing: [] }, { at: 400s, firing: [] } ]
    transitions:
      - { to: firing, at: 130s, rule: too-hot, late: true }
      - { to: resolved, at: 300s, rule: too-hot, late: true }
`,
  ],
  [
    'history may take its time',
    `
  - name: backfill
    devices: { kiln-1: { offline: [ { from: 90s, until: 400s, backfillAt: 480s } ] } }
    series: [ { device: kiln-1, name: temperature, values: '50x10 95x20 50x20' } ]
    transitions:
      - { to: firing, at: 130s, rule: too-hot, late: true }
      - { to: resolved, at: 300s, rule: too-hot, late: true }
`,
  ],
  [
    'a short backlog is judged as if it were now',
    `
  - name: backlog
    devices: { kiln-1: { offline: [ { from: 60s, until: 90s } ] } }
    series: [ { device: kiln-1, name: temperature, values: '50x3 95x7' } ]
    expect:
      - { at: 80s, firing: [] }
      - { at: 90s, firing: [ { rule: too-hot, startedAt: 30s } ] }
    transitions: [ { to: firing, at: 60s, rule: too-hot, recordedAt: 90s } ]
`,
  ],
  [
    'booleans, tenants and another interval',
    `
  - name: types
    interval: 1s
    start: 2026-03-01T12:00:00Z
    series:
      - { device: acme/gate, name: door, values: 'false truex2 false' }
      - { device: pump, name: motor, values: 'false true _x2 false' }
    expect:
      - { at: 1s, firing: [ { rule: door-open, device: acme/gate }, { rule: running, device: pump, value: 1 } ] }
      - { at: 3s, firing: [ { rule: running } ] }
      - { at: 4s, firing: [] }
`,
  ],
  [
    'a device judges what it sees, without its link and before anything is lost',
    `
  - name: on the device
    devices: { tank: { offline: [ { from: 0s, until: 90s } ] } }
    series:
      - { device: tank, name: level, values: '9 lost 12 9' }
      - { device: tank, name: temperature, values: '9x4' }
    expect:
      - { at: 10s, firing: [] }
      - { at: 20s, firing: [ { rule: full, value: 12 } ] }
      - { at: 30s, firing: [] }
`,
  ],
  [
    'devices of one name and several tenants are two',
    `
  - name: tenants
    series:
      - { device: a/gate, name: door, values: 'truex2' }
      - { device: b/gate, name: door, values: 'true false' }
    expect: [ { at: 10s, firing: [ { rule: door-open, device: a/gate } ] } ]
`,
  ],
];

describe('tests of rules', () => {
  it.each(table)('%s', async (_, text) => {
    expect(await run(text)).toMatchObject({
      passes: true,
      out: expect.stringMatching(/^ok .*\n1 passed, 0 failed\n$/),
    });
  });

  it('say what was expected and what happened when they fail', async () => {
    const text = good
      .replace('value: 95\n', 'value: 96\n')
      .replace('{ at: 90s, firing: [] }', '{ at: 90s, firing: [ { rule: door-open } ] }')
      .replace('{ to: resolved, at: 90s, rule: too-hot, value: 79 }', '{ to: retracted, at: 90s, rule: too-hot }');
    expect(await run(text)).toEqual({
      passes: false,
      out: `FAILED  a kiln that stays hot fires
  what fires at 1m (- expected, + happened):
    - too-hot  kiln-1  temperature  severity critical  value 96  started 30s  labels {"team":"ovens"}  annotations {"summary":"kiln-1 has 95"}
    + too-hot  kiln-1  temperature  severity critical  value 95  started 30s  labels {"team":"ovens"}  annotations {"summary":"kiln-1 has 95"}
  what fires at 90s (- expected, + happened):
    - door-open
  the transitions (- expected, + happened):
    - retracted  at 90s  too-hot
    + resolved  at 90s  too-hot  kiln-1  temperature  value 79  started 30s
  all that happened:
    firing  at 1m  too-hot  kiln-1  temperature  value 95  started 30s  recorded 1m
    resolved  at 90s  too-hot  kiln-1  temperature  value 79  started 30s  recorded 90s
0 passed, 1 failed
`,
    });
  });

  it('say that nothing fired', async () => {
    const text = good.replace('80+5x3 95x4 85x2 79', '20x10').replace(/ {4}transitions:[\s\S]*/, '');
    expect((await run(text)).out).toBe(`FAILED  a kiln that stays hot fires
  what fires at 1m (- expected, + happened):
    - too-hot  kiln-1  temperature  severity critical  value 95  started 30s  labels {"team":"ovens"}  annotations {"summary":"kiln-1 has 95"}
  all that happened:
    nothing fired
0 passed, 1 failed
`);
  });

  it('are chosen by their names, and told as JSON and as JUnit has it', async () => {
    const other = good.replace('a kiln that stays hot fires', 'another & more').replace('value: 95\n', 'value: 96\n');
    const junit = join(folder, 'junit.xml');
    const { passes, out } = await run(good + other, { filter: '*', json: true, junit });
    expect(passes).toBe(false);
    const lines = out.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { name: 'a kiln that stays hot fires', passes: true, differences: [], transitions: [{ at: 60_000 }, {}] },
      { name: 'another & more', passes: false, differences: [{ where: 'what fires at 1m', lines: [{}, {}] }] },
    ]);
    const xml = readFileSync(junit, 'utf8');
    expect(xml).toContain('tests="2" failures="1"');
    expect(xml).toMatch(/name="another &amp; more"><failure>FAILED {2}another &amp; more\n/);
    expect(await run(good + other, { filter: 'a kiln*' })).toMatchObject({ passes: true });
    await expect(run(good, { filter: 'nothing' })).rejects.toThrow(/no test is named nothing/);
  });

  it.each([
    [good.replace('95x4', '95y4'), /:6:\d+: tests\[0\]\.series\[0\]\.values: at character 10: `95y4` goes on/],
    [good.replace('95x4', '@10s 95x4'), /at character 8: this time is not later than the slot before it/],
    [good.replace('rule: too-hot\n', 'rule: too-hto\n'), /no rule is named too-hto .*did you mean too-hot\?/],
    [good.replace('            device: kiln-1\n', '            device: kiln-2\n'), /no device is named kiln-2/],
    [good.replace('firing: []', 'firings: []'), /firings: unknown key; did you mean firing\?/],
    [good.replace('at: 50s', 'at: 50'), /a duration without a unit/],
    ["\n  - { name: n, series: [ { name: t, values: '1' } ] }\n", /expects nothing, so it cannot fail/],
    [good.replace('name: temperature, unit', 'name: temperature, units'), /units: unknown key; did you mean unit\?/],
    [good.replace('series:', 'devices: { kiln: {} }\n    series:'), /no device of a series is named kiln .*kiln-1\?/],
    [
      good.replace('series:', 'devices: { kiln-1: { offline: [ { from: 5s, until: 5s } ] } }\n    series:'),
      /until: not after from .*write 5001ms or later/,
    ],
    [
      good.replace(
        'series:',
        'devices: { kiln-1: { offline: [ { from: 1s, until: 5s, backfillAt: 4s } ] } }\n    series:',
      ),
      /backfillAt: before until .*write 5s or later/,
    ],
    [good.replace('series: [', "series: [ { device: kiln-1, name: temperature, unit: Cel, values: '1' },"), /twice/],
    [
      `\n  - name: big\n    expect: [ { at: 1s, firing: [] } ]\n    series:\n${Array.from({ length: 11 }, (_, at) => `      - { name: s${at}, values: '1x99999' }\n`).join('')}`,
      /series: 1099989 slots in one test .*at most 1000000/,
    ],
    [
      `\n  - name: long\n    expect: [ { at: 31d, firing: [] } ]\n    series:\n${Array.from({ length: 30 }, (_, at) => `      - { device: d${at}, name: s, values: '1' }\n`).join('')}`,
      /the test "long": 89281 moments of 30 devices are too many/,
    ],
    [good.replace('series:', 'start: noon\n    series:'), /start: not a time .*2026-01-05T00:00:00Z/],
    [good.replace('name: temperature, unit', `name: ${'x'.repeat(200)}, unit`), /series\.name: 200 bytes/],
  ])('of a wrong file are refused at their place (%#)', async (text, expected) => {
    await expect(run(text)).rejects.toMatchObject({ code: 'config', message: expect.stringMatching(expected) });
  });

  it('of a wrong file of rules are refused at its place', async () => {
    const file = join(folder, 'bad.test.yaml');
    writeFileSync(join(folder, 'bad.yaml'), 'rules:\n  - { name: a, select: { name: x }, abvoe: 1 }\n');
    writeFileSync(file, `rules: [rules.yaml, bad.yaml]\ntests:\n${good}`);
    await expect(runTests([file], {}, () => {})).rejects.toThrow(/bad\.yaml:2:\d+: .*did you mean above\?/);
    writeFileSync(file, `rules: [rules.yaml, rules.yaml]\ntests:\n${good}`);
    await expect(runTests([file], {}, () => {})).rejects.toThrow(/:1:21: rules\[1\]: a second rule is named too-hot/);
  });
});
