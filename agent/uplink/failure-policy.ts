import type { Random } from '@tributary/core/clock/random';
import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { nextDelayMs } from '@tributary/core/retry/backoff';
import type { UplinkLimits } from './uplink-limits.js';

/** What follows from a call or a connection that failed. */
export interface FailureDecision {
  /** The connection is of no use any more: a new one, perhaps to another replica. */
  dropLink: boolean;
  delayMs: number;
  level: 'warn' | 'error';
  /** What a person should do, or what the agent does by itself. */
  remedy: string;
}

/** Whether the collector took a message for too large. */
export function isTooLarge(failure: GrpcOutcome): boolean {
  return (
    failure.kind === 'resource-exhausted' && failure.hint.kind !== 'after' && tooLargePattern.test(failure.message)
  );
}

/** How grpc-js, grpc-go, grpc-java and gRPC C++ say that a message is too large: the status alone does not. */
const tooLargePattern = /larger than max|exceeds maximum size|message (is )?too large/i;

/**
 * A connection that closes before it is ready is a certificate that was refused, or a link that was cut just then. Failing so
 * again and again is a refusal; a link that comes back must not cost a device minutes.
 */
const EARLY_CLOSES_BEFORE_REFUSED = 2;

/**
 * Decides by the outcome of the `attempt`-th failure in a row (0 is the first). A server's hint is a floor; a refused
 * identity waits longer, because asking again does not mend it.
 */
export function failureDecision(
  failure: GrpcOutcome,
  attempt: number,
  random: Random,
  limits: UplinkLimits,
): FailureDecision {
  const hintMs = failure.hint.kind === 'after' ? failure.hint.delayMs : 0;
  const never = failure.hint.kind === 'never';
  const tls = failure.kind === 'unavailable' ? failure.tls : undefined;
  const refused =
    failure.kind === 'unauthenticated' ||
    failure.kind === 'unimplemented' ||
    (tls !== undefined && (tls.kind !== 'closed-early' || attempt >= EARLY_CLOSES_BEFORE_REFUSED)) ||
    (never && !isTooLarge(failure));
  const delayMs = refused
    ? nextDelayMs(attempt, random, limits.refused, Math.max(limits.refusedFloorMs, hintMs))
    : nextDelayMs(attempt, random, limits.retry, hintMs);
  return {
    dropLink: failure.kind !== 'resource-exhausted' && failure.kind !== 'invalid' && failure.kind !== 'internal',
    delayMs,
    level: refused ? 'error' : 'warn',
    remedy: remedyOf(failure),
  };
}

function remedyOf(failure: GrpcOutcome): string {
  switch (failure.kind) {
    case 'unavailable':
      if (failure.tls === undefined) return 'readings are kept; the next attempt comes by itself';
      switch (failure.tls.kind) {
        case 'certificate-expired':
        case 'certificate-not-yet-valid':
          return failure.tls.by === 'local'
            ? "check this device's clock, then the collector's certificate"
            : "issue a new device certificate (tls.cert, tls.key), or check the collector's clock";
        case 'unknown-ca':
          return failure.tls.by === 'local'
            ? "put the CA that issued the collector's certificate into tls.ca"
            : 'use a device certificate (tls.cert) of a CA that the collector trusts';
        case 'wrong-name':
          return 'set collector.serverName to a name in the certificate of the collector, or correct collector.address';
        default:
          return 'check tls.ca, tls.cert and tls.key, and that both sides speak TLS 1.3';
      }
    case 'unauthenticated':
      return 'check that the device certificate carries one SPIFFE id and that the collector does not deny it';
    case 'unimplemented':
      return 'upgrade the collector: it is older than this agent';
    case 'resource-exhausted':
      return 'less is sent at once; nothing is lost';
    default:
      return 'readings are kept; the next attempt comes by itself';
  }
}
