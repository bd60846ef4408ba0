import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatSpiffeId, type Identity, parseSpiffeId } from './spiffe-id.js';

const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/).filter((text) => text !== '.' && text !== '..');
const trustDomain = fc.stringMatching(/^[a-z0-9._-]{1,100}$/);
const identity: fc.Arbitrary<Identity> = fc.oneof(
  fc.record({
    kind: fc.constant('device' as const),
    trustDomain,
    tenant: fc.option(name, { nil: undefined }),
    device: name,
  }),
  fc.record({ kind: fc.constantFrom('operator' as const, 'collector' as const), trustDomain, name }),
);

describe('a SPIFFE id', () => {
  it('reads back as the identity it was made of', () => {
    fc.assert(
      fc.property(identity, (made) => {
        expect(parseSpiffeId(formatSpiffeId(made))).toEqual({ ok: true, identity: made });
      }),
      { seed: 11 },
    );
  });

  it.each([
    '',
    'http://a/device/x',
    'SPIFFE://a/device/x',
    'spiffe://',
    'spiffe:///device/x',
    'spiffe://a',
    'spiffe://a/',
    'spiffe://A/device/x',
    'spiffe://a:1/device/x',
    'spiffe://u@a/device/x',
    'spiffe://a/device',
    'spiffe://a/device/',
    'spiffe://a/device/x/',
    'spiffe://a//device/x',
    'spiffe://a/device/.',
    'spiffe://a/device/..',
    'spiffe://a/device/x%20y',
    'spiffe://a/device/x y',
    'spiffe://a/device/ü',
    'spiffe://a/device/x?q',
    'spiffe://a/device/x#f',
    'spiffe://a/device/x\n',
    'spiffe://a/Device/x',
    'spiffe://a/tenant/t',
    'spiffe://a/tenant/t/operator/x',
    'spiffe://a/device/x/device/y',
    'spiffe://a/admin/x',
    `spiffe://a/device/${'x'.repeat(129)}`,
    `spiffe://a/device/${'x'.repeat(3000)}`,
  ])('is not %j', (text) => {
    expect(parseSpiffeId(text).ok).toBe(false);
  });

  it('is either refused or canonical, whatever the text', () => {
    const parts = fc.constantFrom(
      'spiffe://',
      '/',
      'device',
      'tenant',
      'operator',
      'collector',
      'a',
      '.',
      '..',
      '%',
      'A',
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 9 }), (chosen) => {
        const text = chosen.join('');
        const parsed = parseSpiffeId(text);
        if (parsed.ok) expect(formatSpiffeId(parsed.identity)).toBe(text);
      }),
      { seed: 12, numRuns: 2000 },
    );
  });

  it('is not made of parts that cannot stand in one', () => {
    expect(() => formatSpiffeId({ kind: 'device', trustDomain: 'a', tenant: undefined, device: 'x/../y' })).toThrow(
      RangeError,
    );
  });
});
