/** Why a handshake failed, in few words: a label of a metric, so there must not be many. */
export type HandshakeFailure =
  | 'timeout'
  | 'closed-early'
  | 'not-tls'
  | 'version'
  | 'certificate-missing'
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'certificate-refused'
  | 'refused-by-peer'
  | 'other';

const byCode: Readonly<Record<string, HandshakeFailure>> = {
  ERR_TLS_HANDSHAKE_TIMEOUT: 'timeout',
  ECONNRESET: 'closed-early',
  EPIPE: 'closed-early',
  ERR_SSL_HTTP_REQUEST: 'not-tls',
  ERR_SSL_WRONG_VERSION_NUMBER: 'not-tls',
  ERR_SSL_UNEXPECTED_MESSAGE: 'not-tls',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'version',
  ERR_SSL_NO_PROTOCOLS_AVAILABLE: 'version',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'certificate-missing',
  CERT_HAS_EXPIRED: 'certificate-expired',
  CERT_NOT_YET_VALID: 'certificate-not-yet-valid',
};

/**
 * The reason of a failed handshake: `code` of the error, and what OpenSSL found wrong with the peer's certificate, if it
 * got so far (Node ends such a connection as if it had been reset).
 */
export function handshakeFailure(code: string | undefined, authorizationError: string | undefined): HandshakeFailure {
  if (authorizationError !== undefined) return byCode[authorizationError] ?? 'certificate-refused';
  if (code === undefined) return 'other';
  if (code.startsWith('ERR_SSL') && code.includes('ALERT')) return 'refused-by-peer';
  return byCode[code] ?? 'other';
}
