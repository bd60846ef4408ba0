import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';
import type { TlsMaterial } from './tls-files.js';

/** What a server needs of `TlsMaterial`. */
export type ServerMaterial = Pick<TlsMaterial, 'ca' | 'cert' | 'key'>;

/**
 * Credentials of a server: mutual TLS 1.3 against the configured CA. grpc-js's own `createSsl` takes TLS 1.2 and falls
 * back to the public roots when there is no CA; here there always is one. Session tickets stay on: a resumed session
 * carries the client's certificate.
 */
export class MutualTlsServerCredentials extends ServerCredentials {
  constructor(material: ServerMaterial) {
    super({ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' }, contextOptions(material));
  }

  /** New connections get these certificates; open ones keep theirs. */
  update(material: ServerMaterial): void {
    this.updateSecureContextOptions(contextOptions(material));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOptions(material: ServerMaterial): SecureContextOptions {
  if (material.ca.length === 0) throw new RangeError('a server without a CA would trust the public roots');
  // A replaced context forgets the server's minVersion, so it stands here too.
  return { ca: material.ca, cert: material.cert, key: material.key, minVersion: 'TLSv1.3' };
}
