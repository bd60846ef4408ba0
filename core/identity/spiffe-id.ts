/** Who somebody is, as its certificate says. */
export type Identity =
  | { kind: 'device'; trustDomain: string; tenant: string | undefined; device: string }
  | { kind: 'operator'; trustDomain: string; name: string }
  | { kind: 'collector'; trustDomain: string; name: string };

export type SpiffeIdResult = { ok: true; identity: Identity } | { ok: false; problem: string };

/** SPIFFE-ID section 2.3: an implementation must take ids of up to 2,048 bytes and must not make longer ones. */
const idBytesMax = 2048;

/** SPIFFE-ID section 2.1; the length is that of a host name, which section 2.1 advises to stay compatible with. */
const trustDomainForm = /^[a-z0-9._-]{1,255}$/;

/** SPIFFE-ID section 2.2; 128 characters because names become labels, file names and keys of the store. */
const nameForm = /^[A-Za-z0-9._-]{1,128}$/;

/** Whether `text` can be a trust domain: lower-case letters, digits, dots, dashes, underscores. */
export function isTrustDomain(text: string): boolean {
  return trustDomainForm.test(text);
}

/** Whether `text` can name a device, tenant, operator or collector: letters, digits, dots, dashes, underscores; not `.` or `..`. */
export function isIdentityName(text: string): boolean {
  return nameForm.test(text) && text !== '.' && text !== '..';
}

/**
 * Parses a SPIFFE id (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md) of one of the shapes
 * `spiffe://TD[/tenant/T]/device/D`, `spiffe://TD/operator/N`, `spiffe://TD/collector/N`. Nothing is normalised: what is
 * not in its one canonical form is no id.
 */
export function parseSpiffeId(text: string): SpiffeIdResult {
  if (text.length > idBytesMax) return { ok: false, problem: `longer than ${idBytesMax} bytes` };
  if (!text.startsWith('spiffe://')) return { ok: false, problem: 'it does not begin with spiffe://' };
  const [trustDomain, ...segments] = text.slice('spiffe://'.length).split('/');
  if (!isTrustDomain(trustDomain))
    return { ok: false, problem: 'the trust domain is empty or has characters that it must not have' };
  if (!segments.every(isIdentityName)) {
    return {
      ok: false,
      problem: 'a path segment is empty, relative, too long or has characters that it must not have',
    };
  }
  const identity = identityOf(trustDomain, segments);
  return identity === undefined
    ? { ok: false, problem: 'the path names no device, operator or collector' }
    : { ok: true, identity };
}

function identityOf(trustDomain: string, segments: readonly string[]): Identity | undefined {
  const [first, second, third, fourth] = segments;
  if (segments.length === 4 && first === 'tenant' && third === 'device') {
    return { kind: 'device', trustDomain, tenant: second, device: fourth };
  }
  if (segments.length !== 2) return undefined;
  if (first === 'device') return { kind: 'device', trustDomain, tenant: undefined, device: second };
  if (first === 'operator' || first === 'collector') return { kind: first, trustDomain, name: second };
  return undefined;
}

/** The SPIFFE id of `identity`. Throws a RangeError when a part of it cannot stand in one. */
export function formatSpiffeId(identity: Identity): string {
  const path =
    identity.kind !== 'device'
      ? `/${identity.kind}/${identity.name}`
      : `${identity.tenant === undefined ? '' : `/tenant/${identity.tenant}`}/device/${identity.device}`;
  const id = `spiffe://${identity.trustDomain}${path}`;
  const parsed = parseSpiffeId(id);
  if (!parsed.ok) throw new RangeError(`${JSON.stringify(id)} is no SPIFFE id: ${parsed.problem}`);
  return id;
}
