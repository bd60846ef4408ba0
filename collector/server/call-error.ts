import { type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { Logger } from 'pino';
import { StoreError } from '../store/store-error.js';

/** Why a call is not answered: the statuses of gRPC that this collector gives, by what they mean here. */
export type CallErrorCode = 'invalid' | 'denied' | 'not-found' | 'conflict' | 'exhausted' | 'unavailable';

const statuses: Readonly<Record<CallErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  denied: status.PERMISSION_DENIED,
  'not-found': status.NOT_FOUND,
  conflict: status.FAILED_PRECONDITION,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
};

/** A call that ends with a status. The message goes to the peer. */
export class CallError extends Error {
  override readonly name = 'CallError';

  constructor(
    readonly code: CallErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/** The status of an error at the edge: a known one its own, an unknown one a generic text on the wire and a stack in the log. */
export function statusOf(
  error: unknown,
  doing: string,
  logger: Logger,
): Partial<StatusObject> & { metadata?: Metadata } {
  if (error instanceof CallError) return { code: statuses[error.code], details: error.message };
  if (error instanceof StoreError) {
    logger.warn({ code: error.code, err: error.message }, `${doing}: the store refused`);
    return { code: status.UNAVAILABLE, details: 'the store is away; try again later' };
  }
  if (error instanceof TributaryError && (error.code === 'usage' || error.code === 'config')) {
    return { code: status.INVALID_ARGUMENT, details: error.message };
  }
  logger.error({ err: error }, `${doing}: an error that nobody foresaw`);
  return { code: status.INTERNAL, details: 'internal error; the collector has logged it' };
}
