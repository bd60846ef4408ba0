import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '@tributary/core/config/load-config';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { DEVICE_DOWN } from './inhibition.js';
import { type NotifyConfig, notifySchema } from './notify-schema.js';

const schema = v.strictObject({ notify: notifySchema });

function parse(notify: string): NotifyConfig {
  return parseConfig(`notify: ${notify}\n`, '/etc/tributary/collector.yaml', schema).notify;
}

const webhook = (more: string) =>
  `{ receivers: [{ name: a, kind: webhook, url: https://a.example/, secretFile: s${more} }] }`;
const alertmanager = (more: string) => `{ receivers: [{ name: a, kind: alertmanager, urls: [http://a:9093]${more} }] }`;

describe('the configuration of notifications', () => {
  it('tells nobody by default, and lets a device that is down hide the rest', () => {
    expect(parse('{}')).toEqual({ receivers: [], inhibit: [DEVICE_DOWN], inhibitWait: 5000 });
  });

  it('of the documentation is in order', () => {
    const page = readFileSync(fileURLToPath(new URL('../../../docs/ALERTS.md', import.meta.url)), 'utf8');
    const example = /```yaml\n(notify:[\s\S]*?)```/.exec(page)?.[1] ?? '';
    const { notify } = parseConfig(example, '/etc/tributary/collector.yaml', schema);
    expect(notify.receivers.map(({ name }) => name)).toEqual(['operations', 'alertmanager']);
    expect(notify.inhibit).toEqual([DEVICE_DOWN]);
  });

  it('comes with files as absolute paths and durations in milliseconds', () => {
    const { receivers } = parse(webhook(', headerFiles: { Authorization: token }, match: { severity: crit* }'));
    expect(receivers).toEqual([
      {
        name: 'a',
        kind: 'webhook',
        url: 'https://a.example/',
        secretFile: '/etc/tributary/s',
        headers: {},
        headerFiles: { Authorization: '/etc/tributary/token' },
        match: { severity: 'crit*' },
        sendResolved: true,
        tls: {},
        giveUpAfter: 259_200_000,
        timeout: 15_000,
      },
    ]);
    expect(parse(alertmanager('')).receivers[0]).toMatchObject({ timeout: 10_000, resendInterval: 60_000 });
  });

  it.each([
    [
      'an unknown kind',
      '{ receivers: [{ name: a, kind: email }] }',
      'receivers[0].kind: not one of the allowed values',
    ],
    ['a field of the other kind', alertmanager(', secretFile: s'), 'receivers[0].secretFile: unknown key'],
    ['no secret', '{ receivers: [{ name: a, kind: webhook, url: "https://a/" }] }', 'receivers[0].secretFile: missing'],
    ['a URL of no web', webhook('').replace('https://a.example/', 'ftp://a/'), 'not a URL of the web'],
    ['a password in a URL', webhook('').replace('//a', '//u:p@a'), 'leave it out, and name a file with the secret'],
    ['a fragment', webhook('').replace('example/', 'example/#x'), 'a URL with a fragment'],
    ['a secret in a header', webhook(', headers: { Authorization: x }'), 'write it under headerFiles'],
    ['a token in a header', webhook(', headers: { X-Api-Key: x }'), 'write it under headerFiles'],
    ['a header of the request', webhook(', headers: { Content-Length: "1" }'), 'that the request sets itself'],
    ['a header of the signature', webhook(', headerFiles: { webhook-id: x }'), 'that the request sets itself'],
    ['a header of two lines', webhook(', headers: { X-A: "a\\nb" }'), 'write one line of text'],
    [
      'no Alertmanager',
      '{ receivers: [{ name: a, kind: alertmanager, urls: [] }] }',
      'write that of at least one Alertmanager',
    ],
    ['a query', alertmanager('').replace(':9093', ':9093/?a=b'), 'a URL with a query'],
    ['a colon in a user', alertmanager(', basicAuth: { user: "a:b", passwordFile: p }'), 'a name without a colon'],
    ['a certificate without a key', webhook(', tls: { cert: c }'), 'receivers[0].tls.cert: a certificate without key'],
    ['a key without a certificate', webhook(', tls: { key: k }'), 'receivers[0].tls.key: a key without cert'],
    ['a short resend interval', alertmanager(', resendInterval: 10ms'), 'at least 1s is needed'],
    ['a bare timeout', webhook(', timeout: 5'), 'a duration without a unit'],
    ['a name with blanks', webhook('').replace('name: a', 'name: a b'), 'receivers[0].name: not a name'],
    [
      'two of one name',
      '{ receivers: [{ name: a, kind: alertmanager, urls: [http://a] }, { name: a, kind: alertmanager, urls: [http://b] }] }',
      'receivers[1].name: a second receiver is named a',
    ],
    [
      'an inhibition of everything',
      '{ inhibit: [{ source: {}, target: { a: b } }] }',
      'inhibit[0].source: matches every',
    ],
    ['an unknown name in the link', '{ link: "https://x.example/{{host}}" }', 'known are {{incident}}, {{rule}}'],
    ['no link', '{ link: "{{device}}" }', 'not a URL of the web'],
  ])('with %s is refused, with place and remedy', (_, notify, message) => {
    expect(() => parse(notify)).toThrow(message);
  });
});
