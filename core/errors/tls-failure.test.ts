import { describe, expect, it } from 'vitest';
import { tlsFailureIn, tlsFailureWords } from './tls-failure.js';

describe('a TLS failure', () => {
  // Texts of grpc-js 1.14.7 on Node 20, and of OpenSSL's alerts in its wording.
  it.each([
    ['Error: certificate has expired', 'certificate-expired', 'local'],
    ['Error: certificate is not yet valid', 'certificate-not-yet-valid', 'local'],
    ['Error: self-signed certificate in certificate chain', 'unknown-ca', 'local'],
    ['Error: unable to verify the first certificate', 'unknown-ca', 'local'],
    ['Error: unable to get local issuer certificate', 'unknown-ca', 'local'],
    ["Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames", 'wrong-name', 'local'],
    ['Error: unsuitable certificate purpose', 'certificate-refused', 'local'],
    ["Error: The server's certificate is not of a collector: it belongs to a device", 'certificate-refused', 'local'],
    [
      '80DC:error:0A000415:SSL routines:ssl3_read_bytes:sslv3 alert certificate expired:',
      'certificate-expired',
      'remote',
    ],
    ['80DC:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:', 'unknown-ca', 'remote'],
    [
      '80DC:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:',
      'certificate-missing',
      'remote',
    ],
    ['80DC:error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:', 'certificate-refused', 'remote'],
    ['80DC:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:', 'handshake', 'remote'],
    ['80DC:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:', 'handshake', 'local'],
    ['No connection established. Last error: Failed to connect (2026-01-01T00:00:00.000Z).', 'closed-early', 'remote'],
  ])('is recognised in %j', (details, kind, by) => {
    const failure = tlsFailureIn(details);
    expect(failure).toEqual({ kind, by });
    expect(tlsFailureWords(failure!)).toMatch(/^(the other side|this side|the TLS handshake)/);
  });

  it.each(['connect ECONNREFUSED 127.0.0.1:1', 'Connection dropped', 'read ECONNRESET', '', 'name resolution failed'])(
    'is not seen in %j',
    (details) => expect(tlsFailureIn(details)).toBeUndefined(),
  );
});
