import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { peerIdentity } from './peer-identity.js';

const id = 'spiffe://example.org/device/press-1';

function refusalOf(names: string | undefined): string {
  const peer = peerIdentity(names, 'example.org');
  return peer.ok ? 'accepted' : peer.refusal;
}

describe('the identity of a peer', () => {
  it('is its certificate’s only URI, whatever names stand beside it', () => {
    const identity = { kind: 'device', trustDomain: 'example.org', tenant: undefined, device: 'press-1' };
    expect(peerIdentity(`URI:${id}`, 'example.org')).toEqual({ ok: true, identity });
    const names = `DNS:a.example.org, IP Address:127.0.0.1, DirName:"CN=a\\u002cb", URI:${id}, email:a@b`;
    expect(peerIdentity(names, 'example.org')).toEqual({ ok: true, identity });
  });

  it.each([
    [undefined, 'no-certificate'],
    ['', 'no-uri'],
    ['DNS:localhost', 'no-uri'],
    [`URI:${id}, URI:${id}`, 'several-uris'],
    [`URI:${id}, URI:https://example.org`, 'several-uris'],
    ['URI:https://example.org/device/a', 'malformed-id'],
    ['URI:spiffe://example.org/device/', 'malformed-id'],
    ['URI:spiffe://other.org/device/a', 'foreign-trust-domain'],
    // A value with a comma is a JSON string in Node's text; what is inside is no name of its own.
    [`DNS:"a, URI:${id}"`, 'no-uri'],
    [`URI:"${id}"`, 'malformed-id'],
    [`URI:"${id}\\u002c URI:spiffe://example.org/device/b"`, 'malformed-id'],
    [`DNS:"a\\", URI:${id}"`, 'no-uri'],
    [`DNS:"a, URI:${id}`, 'malformed-names'],
    [`DNS:a,URI:${id}`, 'malformed-names'],
    [`unknown:a, URI:${id}`, 'malformed-names'],
    [`URI:${id}\nURI:${id}`, 'malformed-id'],
    [`${'DNS:a, '.repeat(5000)}URI:${id}`, 'malformed-names'],
  ])('is refused in %j', (names, refusal) => {
    expect(refusalOf(names)).toBe(refusal);
  });

  it('is read in linear time from any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => typeof refusalOf(text) === 'string'),
      { seed: 2 },
    );
    const started = performance.now();
    refusalOf(`DNS:"${'\\'.repeat(16_000)}`);
    expect(performance.now() - started).toBeLessThan(200);
  });
});
