import { isIPv6 } from 'node:net';
import * as v from 'valibot';

/** Where to listen or to call. */
export interface Address {
  /** A host name or an IP address; IPv6 without brackets. */
  host: string;
  port: number;
}

const form = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9][A-Za-z0-9._-]{0,252})):(\d{1,5})$/;

/** `host:port` or `[ipv6]:port`; undefined when `text` is not of that form. */
export function parseAddress(text: string): Address | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, bracketed, name, digits] = match;
  const port = Number(digits);
  if (port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) return undefined;
  return { host: bracketed ?? name, port };
}

/** An address as `host:port`, IPv6 in brackets, as gRPC and URLs want it. */
export function formatAddress(address: Address): string {
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** A field that holds `host:port`. Port 0 ("any free one") is only sensible for listening, hence `anyPort`. */
export function address({ anyPort = false }: { anyPort?: boolean } = {}) {
  const remedy = 'write HOST:PORT, such as collector.example.org:4443, 127.0.0.1:4443 or [::1]:4443';
  return v.pipe(
    v.string(`not an address; ${remedy}`),
    v.check((text) => parseAddress(text) !== undefined, `not an address; ${remedy}`),
    v.transform((text) => parseAddress(text) as Address),
    v.check(
      (parsed) => anyPort || parsed.port > 0,
      'port 0 cannot be called; write the port that the other side listens on',
    ),
  );
}
