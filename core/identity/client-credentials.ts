import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity, createSecureContext, type PeerCertificate } from 'node:tls';
import { ChannelCredentials } from '@grpc/grpc-js';
import { peerIdentity } from './peer-identity.js';
import type { TlsMaterial } from './tls-files.js';

/** What a client needs of `TlsMaterial`. */
export type ClientMaterial = Pick<TlsMaterial, 'ca' | 'cert' | 'key' | 'identity'>;

/**
 * Credentials of a client: mutual TLS 1.3, the configured CA and no other. The server's certificate must carry the name
 * or address that was called, and the SPIFFE id of a collector of this client's trust domain, so that no device can pose
 * as a collector whatever names it was issued.
 */
export function clientCredentials(material: ClientMaterial): ChannelCredentials {
  const { ca, cert, key, identity } = material;
  if (ca.length === 0) throw new RangeError('a client without a CA would trust the public roots');
  const context = createSecureContext({ ca, cert, key, minVersion: 'TLSv1.3' });
  const checkServer = (host: string, certificate: PeerCertificate) =>
    checkServerIdentity(host, certificate) ?? checkCollector(certificate, identity.trustDomain);
  const inner = ChannelCredentials.createFromSecureContext(context, {
    rejectUnauthorized: true,
    checkServerIdentity: checkServer,
  });
  return new MutualTlsChannelCredentials(inner);
}

function checkCollector(certificate: PeerCertificate, trustDomain: string): Error | undefined {
  const peer = peerIdentity(certificate.subjectaltname, trustDomain);
  if (peer.ok && peer.identity.kind === 'collector') return undefined;
  const detail = peer.ok ? `it belongs to a ${peer.identity.kind}` : peer.detail;
  return new Error(`The server's certificate is not of a collector: ${detail}`);
}

/**
 * grpc-js offers the called host as TLS server name even when it is an address, which RFC 6066 section 3 forbids and Node
 * warns about on every start. This takes the name away; the certificate is then checked against the address.
 */
class MutualTlsChannelCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;

  constructor(inner: ChannelCredentials) {
    super();
    this.#inner = inner;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...parameters: Parameters<ChannelCredentials['_createSecureConnector']>) {
    const connector = this.#inner._createSecureConnector(...parameters);
    const { connectionOptions } = connector as { connectionOptions?: ConnectionOptions };
    if (connectionOptions?.servername !== undefined && isIP(connectionOptions.servername) !== 0) {
      delete connectionOptions.servername;
    }
    return connector;
  }
}
