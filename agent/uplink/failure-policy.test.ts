import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { describe, expect, it } from 'vitest';
import { failureDecision, isTooLarge } from './failure-policy.js';
import { uplinkLimits } from './uplink-limits.js';

const base = { code: 'network', message: 'gone', hint: { kind: 'none' } } as const;
const decide = (failure: GrpcOutcome, attempt = 0) => failureDecision(failure, attempt, () => 0.999, uplinkLimits);

describe('what follows from a failure', () => {
  it('is a short wait at first, and never more than a minute', () => {
    const failure: GrpcOutcome = { ...base, kind: 'unavailable', tls: undefined };
    expect(decide(failure)).toMatchObject({ dropLink: true, level: 'warn' });
    expect(decide(failure).delayMs).toBeLessThan(500);
    expect(decide(failure, 50).delayMs).toBeLessThanOrEqual(60_000);
  });

  it.each<[string, GrpcOutcome, string]>([
    ['a foreign CA', { ...base, kind: 'unavailable', tls: { kind: 'unknown-ca', by: 'local' } }, 'tls.ca'],
    [
      'a CA that is unknown there',
      { ...base, kind: 'unavailable', tls: { kind: 'unknown-ca', by: 'remote' } },
      'tls.cert',
    ],
    ['a wrong clock', { ...base, kind: 'unavailable', tls: { kind: 'certificate-expired', by: 'local' } }, 'clock'],
    ['a wrong name', { ...base, kind: 'unavailable', tls: { kind: 'wrong-name', by: 'local' } }, 'serverName'],
    ['a handshake', { ...base, kind: 'unavailable', tls: { kind: 'handshake', by: 'remote' } }, 'TLS 1.3'],
    ['a refusal', { ...base, kind: 'unauthenticated' }, 'SPIFFE'],
    ['an old collector', { ...base, kind: 'unimplemented' }, 'upgrade'],
  ])('after %s is half a minute at least, and a remedy', (_, failure, remedy) => {
    expect(decide(failure)).toMatchObject({ dropLink: true, level: 'error', remedy: expect.stringContaining(remedy) });
    expect(decide(failure).delayMs).toBeGreaterThanOrEqual(30_000);
  });

  it('is taken for a refusal only when connections close early again and again', () => {
    const failure: GrpcOutcome = { ...base, kind: 'unavailable', tls: { kind: 'closed-early', by: 'remote' } };
    for (const attempt of [0, 1]) {
      expect(decide(failure, attempt)).toMatchObject({ level: 'warn' });
      expect(decide(failure, attempt).delayMs).toBeLessThan(1000);
    }
    expect(decide(failure, 2)).toMatchObject({ level: 'error' });
    expect(decide(failure, 2).delayMs).toBeGreaterThanOrEqual(30_000);
  });

  it('keeps the connection where only the call was wrong', () => {
    for (const kind of ['resource-exhausted', 'invalid', 'internal'] as const) {
      expect(decide({ ...base, kind }).dropLink).toBe(false);
    }
  });

  it('is what the server asks for', () => {
    const after: GrpcOutcome = { ...base, kind: 'resource-exhausted', hint: { kind: 'after', delayMs: 7000 } };
    expect(decide(after).delayMs).toBeGreaterThanOrEqual(7000);
    expect(decide({ ...after, hint: { kind: 'never' } }).delayMs).toBeGreaterThanOrEqual(30_000);
  });

  it('tells a message that is too large from a collector that is busy', () => {
    const message = 'Received message larger than max (70000 vs 1000)';
    expect(isTooLarge({ ...base, kind: 'resource-exhausted', message })).toBe(true);
    expect(isTooLarge({ ...base, kind: 'resource-exhausted', message: 'too many streams' })).toBe(false);
    expect(isTooLarge({ ...base, kind: 'resource-exhausted', message, hint: { kind: 'after', delayMs: 1 } })).toBe(
      false,
    );
  });
});
