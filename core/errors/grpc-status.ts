import type { Metadata, ServiceError } from '@grpc/grpc-js';
import type { ErrorCode } from './error-code.js';
import { type RetryHint, retryHint } from './retry-hint.js';
import { type TlsFailure, tlsFailureIn, tlsFailureWords } from './tls-failure.js';

/** What became of a call that did not succeed, as data: the caller decides what to do by `kind`. */
export type GrpcOutcome = {
  /** The code that a `TributaryError` about it carries. */
  code: ErrorCode;
  /** One plain line for a log or a person. */
  message: string;
  /** What the server said about trying again. */
  hint: RetryHint;
} & (
  | { kind: 'unavailable'; tls: TlsFailure | undefined }
  /** The server knows who calls, or that nobody it knows calls, and refuses. */
  | { kind: 'unauthenticated' }
  /** Over a quota or a message too large: without a hint, repeating the same bytes will not help. */
  | { kind: 'resource-exhausted' }
  | { kind: 'deadline' }
  | { kind: 'cancelled' }
  /** The request is wrong and will be wrong again. */
  | { kind: 'invalid' }
  | { kind: 'unimplemented' }
  | { kind: 'internal' }
);

export type GrpcOutcomeKind = GrpcOutcome['kind'];

/**
 * Numbers of the protocol (https://grpc.github.io/grpc/core/md_doc_statuscodes.html), written here so that reading an
 * error does not load the library.
 */
const kinds: readonly GrpcOutcomeKind[] = [
  'internal', // 0 OK: an error with status OK is a bug of the caller
  'cancelled', // 1 CANCELLED
  'internal', // 2 UNKNOWN
  'invalid', // 3 INVALID_ARGUMENT
  'deadline', // 4 DEADLINE_EXCEEDED
  'invalid', // 5 NOT_FOUND
  'invalid', // 6 ALREADY_EXISTS
  'unauthenticated', // 7 PERMISSION_DENIED
  'resource-exhausted', // 8 RESOURCE_EXHAUSTED
  'invalid', // 9 FAILED_PRECONDITION
  'unavailable', // 10 ABORTED: the protocol asks for a retry at a higher level
  'invalid', // 11 OUT_OF_RANGE
  'unimplemented', // 12 UNIMPLEMENTED
  'internal', // 13 INTERNAL
  'unavailable', // 14 UNAVAILABLE
  'internal', // 15 DATA_LOSS
  'unauthenticated', // 16 UNAUTHENTICATED
];

const codes: Readonly<Record<GrpcOutcomeKind, ErrorCode>> = {
  unavailable: 'network',
  unauthenticated: 'unauthenticated',
  'resource-exhausted': 'exhausted',
  deadline: 'deadline',
  cancelled: 'cancelled',
  invalid: 'usage',
  unimplemented: 'unsupported',
  internal: 'internal',
};

const words: Readonly<Record<GrpcOutcomeKind, string>> = {
  unavailable: 'the other side cannot be reached',
  unauthenticated: 'the other side refused this caller',
  'resource-exhausted': 'the other side is at a limit',
  deadline: 'no answer came in time',
  cancelled: 'the call was cancelled',
  invalid: 'the other side refused the request',
  unimplemented: 'the other side does not know this call (another version?)',
  internal: 'the call failed',
};

/** A details text is foreign: it is cut here so that it fits a log line. */
const detailsCharactersMax = 300;

/** Whether `thrown` is an error that grpc-js made: a numeric status with details and trailers. */
export function isGrpcError(thrown: unknown): thrown is ServiceError {
  if (!(thrown instanceof Error)) return false;
  const { code, details, metadata } = thrown as Partial<ServiceError>;
  return typeof code === 'number' && typeof details === 'string' && typeof metadata === 'object';
}

/** The outcome of a failed call. No other file knows the numbers of gRPC's statuses. */
export function grpcOutcome(error: { code: number; details: string; metadata?: Metadata }): GrpcOutcome {
  const kind = kinds[error.code] ?? 'internal';
  const hint: RetryHint = error.metadata === undefined ? { kind: 'none' } : retryHint(error.metadata);
  const details = onOneLine(error.details);
  if (kind !== 'unavailable') return { kind, code: codes[kind], message: `${words[kind]}: ${details}`, hint };
  const tls = tlsFailureIn(error.details);
  if (tls === undefined) return { kind, tls, code: codes[kind], message: `${words[kind]}: ${details}`, hint };
  return { kind, tls, code: 'tls', message: `${tlsFailureWords(tls)}: ${details}`, hint };
}

/**
 * grpc-js wraps what happened in `No connection established. Last error: ... (time). Resolution note: ...`, and OpenSSL in
 * thread ids and file names. Without the wrapping the same failure reads the same each time, which rate limits rely on.
 */
function onOneLine(text: string): string {
  const line = text
    .replace(/\s+/g, ' ')
    .replace(/^No connection established\. Last error: (.*?)\.? Resolution note:.*$/, '$1')
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '')
    .replace(/^Error(?: \[\w+\])?: /, '')
    .replace(/^[0-9A-F]+:error:[0-9A-F]+:SSL routines:[^:]*:([^:]*):.*$/, '$1')
    .trim();
  return line.length > detailsCharactersMax ? `${line.slice(0, detailsCharactersMax)}...` : line;
}
