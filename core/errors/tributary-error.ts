import { errnoMeaning } from './errno.js';
import type { ErrorCode } from './error-code.js';
import { grpcOutcome, isGrpcError } from './grpc-status.js';

/** The one error that crosses from a part to a person: a stable code and a plain message without a stack. */
export class TributaryError extends Error {
  override readonly name = 'TributaryError';
  readonly code: ErrorCode;

  /** `message` is one line that a person can act on (configuration problems: one line each). */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** Whatever was thrown, as a `TributaryError`; the original is the `cause`. */
  static from(thrown: unknown): TributaryError {
    if (thrown instanceof TributaryError) return thrown;
    const errno = errnoMeaning(thrown);
    if (errno !== undefined) return new TributaryError(errno.code, errno.words, { cause: thrown });
    if (isGrpcError(thrown)) {
      const outcome = grpcOutcome(thrown);
      return new TributaryError(outcome.code, outcome.message, { cause: thrown });
    }
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new TributaryError('internal', firstLine(message) || 'an error without a message', { cause: thrown });
  }
}

function firstLine(text: string): string {
  const end = text.indexOf('\n');
  return end < 0 ? text : text.slice(0, end);
}
