import { parseConfig } from '@tributary/core/config/load-config';
import { describe, expect, it } from 'vitest';
import { agentSchema } from '../config/schema.js';

const parse = (alerts: string) =>
  parseConfig(
    `collector: {address: "127.0.0.1:4443"}
tls: {ca: ca.pem, cert: device.pem, key: device.key}
buffer: {path: buffer.db}
sources:
  - {type: serial, name: board, path: /dev/ttyACM0, format: json}
  - {type: simulator, name: demo, series: [{name: t, model: temperature}]}
alerts:
${alerts}`,
    '/etc/agent.yaml',
    agentSchema,
  );

describe('the actions of an agent', () => {
  it('have defaults for all that can have one', () => {
    const { alerts } = parse(`
  - {name: a, run: {command: [/bin/true]}}
  - {name: b, write: {source: board, line: "fan {{state}}"}}
  - {name: c, status: {name: heat, firing: too warm}}
  - {name: d, match: {rule: "x*", labels: {room: a}, states: [firing]}, log: {level: silent}}`);
    expect(alerts).toEqual([
      {
        name: 'a',
        match: { labels: {} },
        run: { command: ['/bin/true'], timeout: 10_000, workingDirectory: '/', maxConcurrent: 1 },
      },
      {
        name: 'b',
        match: { labels: {} },
        write: { source: 'board', line: 'fan {{state}}', endOfLine: '\n', timeout: 2000 },
      },
      { name: 'c', match: { labels: {} }, status: { name: 'heat', firing: 'too warm', resolved: 'ok' } },
      { name: 'd', match: { rule: 'x*', labels: { room: 'a' }, states: ['firing'] }, log: { level: 'silent' } },
    ]);
  });

  it.each([
    ['{name: a}', 'alerts[0].name: it does nothing; add one of run, write, status or log'],
    ['{name: "a b", log: {level: info}}', 'alerts[0].name: not a name'],
    [
      '{name: a, run: {command: [/bin/true]}, status: {name: s, firing: x}}',
      'alerts[0].status: a second thing to do, beside run; make it an action of its own',
    ],
    ['{name: a, run: {command: [siren]}}', 'alerts[0].run.command[0]: siren is not an absolute path'],
    ['{name: a, run: {command: ["/bin/{{rule}}"]}}', 'alerts[0].run.command[0]: a template'],
    ['{name: a, run: {command: []}}', 'alerts[0].run.command: no command'],
    [
      '{name: a, run: {command: [/bin/echo, "{{vaule}}"]}}',
      'alerts[0].run.command[1]: unknown name {{vaule}}; known are {{value}}',
    ],
    ['{name: a, run: {command: [/bin/echo, "{{value"]}}', 'alerts[0].run.command[1]: a {{ without its }}'],
    ['{name: a, run: {command: [/bin/true], timeout: 1h}}', 'alerts[0].run.timeout: too long; at most 10m'],
    ['{name: a, run: {command: [/bin/true], shell: true}}', 'alerts[0].run.shell: unknown key'],
    ['{name: a, run: {command: [/bin/true]}, onCrash: retry}', 'alerts[0].onCrash: write skip or repeat'],
    ['{name: a, run: {command: [/bin/true]}, maxActionAge: 10}', 'alerts[0].maxActionAge: a duration without a unit'],
    [
      '{name: a, run: {command: [/bin/true]}, match: {states: [pending]}}',
      'not a state; write firing, resolved or retracted',
    ],
    ['{name: a, log: {level: info}, onCrash: skip}', 'alerts[0].onCrash: has no meaning with log; remove it'],
    ['{name: a, status: {name: s, firing: x}, match: {states: [firing]}}', 'match.states: a status follows all states'],
    ['{name: a, write: {source: bord, line: x}}', 'alerts[0].write.source: no source is named bord; is board meant?'],
    ['{name: a, write: {source: pump, line: x}}', 'no source is named pump; write one of board'],
    [
      '{name: a, write: {source: demo, line: x}}',
      'demo is a simulator source, which nothing can be written to; write one of board',
    ],
    ['{name: a, log: {level: info}}\n  - {name: a, log: {level: warn}}', 'alerts[1].name: a second action named a'],
    [
      '{name: a, status: {name: s, firing: x}}\n  - {name: b, status: {name: s, firing: y}}',
      'alerts[1].status.name: s is set by another action already',
    ],
  ])('refuse %s', (action, message) => {
    // The loader puts the value between what is wrong and what would be right.
    for (const part of message.split('; ')) expect(() => parse(`  - ${action}\n`)).toThrow(part);
  });
});
