import { createHmac } from 'node:crypto';
import { checkOwnerOnly, readNamedFile, wrongFile } from '@tributary/core/identity/pem-file';

const prefix = 'whsec_';
/** The specification's own bounds. */
const secretBytesMin = 24;
const secretBytesMax = 64;
const base64Form = /^[A-Za-z0-9+/]+={0,2}$/;
const remedy = 'make one with: (umask 077; echo "whsec_$(openssl rand -base64 32)" > FILE)';

/**
 * The headers that sign a webhook by the Standard Webhooks specification, version 1.0.0
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md): HMAC-SHA256 over id, time of
 * the attempt and body. One signature for each secret, so that a secret can be replaced while both are known. It is a few
 * lines, less than a library that would also verify.
 */
export function signatureHeaders(
  secrets: readonly Buffer[],
  id: string,
  attemptUs: number,
  body: Buffer,
): Record<string, string> {
  const seconds = Math.floor(attemptUs / 1_000_000);
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(`${id}.${seconds}.`).update(body).digest('base64')}`,
  );
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signatures.join(' ') };
}

/**
 * Reads a secret: `whsec_` and 24 to 64 bytes in base64, as the specification writes it. Throws a `TributaryError` with code
 * `config` that names the file and the remedy.
 */
export function readSecret(file: string): Buffer {
  const text = readNamedFile(file, 'the file with the secret').toString('latin1').trim();
  checkOwnerOnly(file, 'secret');
  const encoded = text.slice(prefix.length);
  if (!text.startsWith(prefix) || !base64Form.test(encoded)) {
    throw wrongFile(file, `it does not hold whsec_ and base64; ${remedy}`);
  }
  const secret = Buffer.from(encoded, 'base64');
  if (secret.length < secretBytesMin || secret.length > secretBytesMax) {
    throw wrongFile(file, `the secret has ${secret.length} bytes where 24 to 64 are needed; ${remedy}`);
  }
  return secret;
}
