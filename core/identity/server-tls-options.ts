import type { TlsOptions } from 'node:tls';
import type { TlsMaterial } from './tls-files.js';

/** What a server needs of `TlsMaterial`. */
export type ServerMaterial = Pick<TlsMaterial, 'ca' | 'cert' | 'key'>;

/**
 * Options of a server with mutual TLS 1.3 against the configured CA, for `tls.createServer` and for `setSecureContext`,
 * which forgets what is not given to it again. Session tickets stay on: a resumed session carries the client's
 * certificate. Throws a RangeError where there is no CA: Node would fall back to the public roots.
 */
export function serverTlsOptions({ ca, cert, key }: ServerMaterial): TlsOptions {
  if (ca.length === 0) throw new RangeError('a server without a CA would trust the public roots');
  return { ca, cert, key, minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true };
}
