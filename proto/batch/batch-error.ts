/**
 * Why a batch was refused.
 * - `unknown-encoding`: the batch holds a body that this version does not know; a newer one may.
 * - `malformed`: the bytes are no batch.
 * - `limit`: a batch beyond the limits in force; `field` names the limit.
 * - `invalid`: a batch that was handed to the encoder contradicts itself; `field` names the field.
 */
export type BatchErrorCode = 'unknown-encoding' | 'malformed' | 'limit' | 'invalid';

/** The only error that the batch codec throws for what it is given. */
export class BatchError extends Error {
  override readonly name = 'BatchError';
  readonly code: BatchErrorCode;
  /** What is wrong: a limit's name, or a field's. */
  readonly field: string;

  constructor(code: BatchErrorCode, field: string) {
    super(`batch ${code}: ${field}`);
    this.code = code;
    this.field = field;
  }
}
