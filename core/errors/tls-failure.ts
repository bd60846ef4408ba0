/** Why a TLS handshake failed, as far as it can be told from the text that gRPC leaves of it. */
export type TlsFailureKind =
  | 'certificate-expired'
  | 'certificate-not-yet-valid'
  | 'unknown-ca'
  | 'wrong-name'
  | 'certificate-missing'
  | 'certificate-refused'
  | 'handshake'
  /**
   * The peer closed after the handshake and before HTTP/2 began. A Node server that refuses a client's certificate does
   * just that, without an alert; a link that was cut at this moment looks the same.
   */
  | 'closed-early';

export interface TlsFailure {
  kind: TlsFailureKind;
  /** Who found fault: `local` when this side refused the peer's certificate, `remote` when the peer refused ours. */
  by: 'local' | 'remote';
}

/**
 * The first match decides. The texts are those of OpenSSL's alerts (RFC 8446 section 6.2, as spelt in `ssl_stat.c`), of
 * its verification errors (X509_verify_cert_error_string(3)) and Node's codes for them.
 */
const patterns: ReadonlyArray<readonly [RegExp, TlsFailure]> = [
  [/alert certificate expired/i, { kind: 'certificate-expired', by: 'remote' }],
  [/alert unknown ca/i, { kind: 'unknown-ca', by: 'remote' }],
  [/alert certificate required|peer did not return a certificate/i, { kind: 'certificate-missing', by: 'remote' }],
  [
    /alert (bad certificate|certificate revoked|unsupported certificate|certificate unknown|access denied)/i,
    { kind: 'certificate-refused', by: 'remote' },
  ],
  [/CERT_HAS_EXPIRED|certificate has expired/i, { kind: 'certificate-expired', by: 'local' }],
  [/CERT_NOT_YET_VALID|certificate is not yet valid/i, { kind: 'certificate-not-yet-valid', by: 'local' }],
  [
    /SELF_SIGNED_CERT|self[- ]signed certificate|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|unable to (get (local )?issuer|verify the first) certificate|certificate signature failure/i,
    { kind: 'unknown-ca', by: 'local' },
  ],
  [/ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames/i, { kind: 'wrong-name', by: 'local' }],
  [
    /INVALID_PURPOSE|unsuitable certificate purpose|CERT_REVOKED|certificate revoked|certificate is not of a collector/i,
    { kind: 'certificate-refused', by: 'local' },
  ],
  [/alert (handshake failure|protocol version|decrypt error|internal error)/i, { kind: 'handshake', by: 'remote' }],
  [/ssl routines|\bERR_SSL_|\bEPROTO\b/i, { kind: 'handshake', by: 'local' }],
  [/Last error: Failed to connect/, { kind: 'closed-early', by: 'remote' }],
];

/** The TLS failure that `details` of a gRPC status tells of; undefined when it tells of none. */
export function tlsFailureIn(details: string): TlsFailure | undefined {
  for (const [pattern, failure] of patterns) {
    if (pattern.test(details)) return failure;
  }
  return undefined;
}

const localWords: Readonly<Record<TlsFailureKind, string>> = {
  'certificate-expired': "the other side's certificate has expired (or the clock here is wrong)",
  'certificate-not-yet-valid': "the other side's certificate is not valid yet (the clock here is probably wrong)",
  'unknown-ca': "the other side's certificate was issued by another CA than the configured one",
  'wrong-name': "the other side's certificate does not carry the name or address that was called",
  'certificate-missing': 'the other side shows no certificate',
  'certificate-refused': "the other side's certificate is not meant for this use",
  handshake: 'the TLS handshake failed (TLS 1.3 is needed on both sides)',
  'closed-early': 'this side closed the connection before it was ready',
};

const remoteWords: Readonly<Record<TlsFailureKind, string>> = {
  'certificate-expired': "the other side refused this side's certificate: it has expired there",
  'certificate-not-yet-valid': "the other side refused this side's certificate: it is not valid yet there",
  'unknown-ca': "the other side refused this side's certificate: its CA is not known there",
  'wrong-name': "the other side refused this side's certificate: wrong name",
  'certificate-missing': 'the other side asks for a certificate and got none',
  'certificate-refused': "the other side refused this side's certificate",
  handshake: 'the other side refused the TLS handshake (TLS 1.3 is needed on both sides)',
  'closed-early':
    "the other side closed the connection before it was ready (it may have refused this side's certificate)",
};

/** One plain sentence about a TLS failure, for a log line or a message. */
export function tlsFailureWords(failure: TlsFailure): string {
  return (failure.by === 'local' ? localWords : remoteWords)[failure.kind];
}
