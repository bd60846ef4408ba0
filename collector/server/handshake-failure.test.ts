import { describe, expect, it } from 'vitest';
import { handshakeFailure } from './handshake-failure.js';

describe('the reason of a failed handshake', () => {
  it.each([
    ['ERR_TLS_HANDSHAKE_TIMEOUT', undefined, 'timeout'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', undefined, 'refused-by-peer'],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', undefined, 'refused-by-peer'],
    ['ECONNRESET', undefined, 'closed-early'],
    ['ECONNRESET', 'CERT_HAS_EXPIRED', 'certificate-expired'],
    ['ECONNRESET', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'certificate-refused'],
    ['ERR_SSL_SOMETHING_NEW', undefined, 'other'],
    [undefined, undefined, 'other'],
  ])('%s with %s is %s', (code, authorizationError, reason) => {
    expect(handshakeFailure(code, authorizationError)).toBe(reason);
  });
});
