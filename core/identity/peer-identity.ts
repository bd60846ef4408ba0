import { type Identity, parseSpiffeId } from './spiffe-id.js';

/** Why a peer's certificate names nobody. Bounded, so that it can label a metric. */
export type PeerRefusal =
  | 'no-certificate'
  | 'no-uri'
  | 'several-uris'
  | 'malformed-names'
  | 'malformed-id'
  | 'foreign-trust-domain';

export type PeerIdentity =
  | { ok: true; identity: Identity }
  | { ok: false; refusal: PeerRefusal /** One plain sentence for a log. */; detail: string };

/** A certificate for one party carries few names; a longer text is an attack on whoever parses it. */
const namesCharactersMax = 16_384;

/**
 * Who the peer is, from the `subjectaltname` text that Node makes of its certificate: exactly one URI, a SPIFFE id of
 * `trustDomain`. Other kinds of names may stand beside it. Undefined means that there is no certificate or no names.
 */
export function peerIdentity(subjectAltName: string | undefined, trustDomain: string): PeerIdentity {
  const found = soleIdentity(subjectAltName);
  if (found.ok && found.identity.trustDomain !== trustDomain) {
    const detail = `the certificate is of the trust domain ${found.identity.trustDomain}, not of ${trustDomain}`;
    return { ok: false, refusal: 'foreign-trust-domain', detail };
  }
  return found;
}

/** Like `peerIdentity`, of whatever trust domain: for one's own certificate. */
export function soleIdentity(subjectAltName: string | undefined): PeerIdentity {
  if (subjectAltName === undefined) {
    return { ok: false, refusal: 'no-certificate', detail: 'there is no certificate with alternative names' };
  }
  const uris = uriNames(subjectAltName);
  if (uris === undefined) {
    return { ok: false, refusal: 'malformed-names', detail: "the certificate's alternative names cannot be read" };
  }
  if (uris.length === 0) return { ok: false, refusal: 'no-uri', detail: 'the certificate has no URI among its names' };
  if (uris.length > 1) {
    return { ok: false, refusal: 'several-uris', detail: `the certificate has ${uris.length} URIs, it must have one` };
  }
  const parsed = parseSpiffeId(uris[0]);
  if (parsed.ok) return parsed;
  return {
    ok: false,
    refusal: 'malformed-id',
    detail: `the certificate's URI is not a known SPIFFE id: ${parsed.problem}`,
  };
}

/**
 * Node joins names as `TYPE:value, TYPE:value` and writes a value with unusual characters (a comma, a quote, a control
 * character) as a JSON string literal, since CVE-2021-44532 showed that it could forge further names otherwise.
 */
const entryForm =
  /(DNS|URI|IP Address|email|DirName|Registered ID|othername|X400Name|EdiPartyName):("(?:[^"\\]|\\.)*"|[^",\\]*)(?:, |$)/y;

function uriNames(text: string): string[] | undefined {
  if (text.length > namesCharactersMax) return undefined;
  const uris: string[] = [];
  entryForm.lastIndex = 0;
  while (entryForm.lastIndex < text.length) {
    const match = entryForm.exec(text);
    if (match === null) return undefined;
    // A quoted value keeps its quotes: it has characters that no SPIFFE id has, and so it will be refused as one.
    if (match[1] === 'URI') uris.push(match[2]);
  }
  return uris;
}
