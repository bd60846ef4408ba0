import { TributaryError } from '@tributary/core/errors/tributary-error';

/**
 * What can be wrong with a store:
 * - `full`: no space left, or the quota is reached; nothing was written, and retention or the operator must make room.
 * - `busy`: another collector holds it.
 * - `corrupt`: it is damaged, of a newer version, or no store at all.
 * - `io`: the disk or the connection failed; what was being written counts as not written.
 * - `closed`: it was closed, or its thread ended.
 */
export type StoreErrorCode = 'full' | 'busy' | 'corrupt' | 'io' | 'closed';

/** The one error that a {@link Store} rejects with when it is away, full or broken. Anything else is a bug. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The same for whoever runs a command; `path` is the store's file where the message should name it. */
export function commandErrorOf(error: StoreError, path?: string): TributaryError {
  const { code } = error;
  const known = code === 'full' ? 'disk-full' : code === 'busy' || code === 'corrupt' ? code : 'disk';
  const message = path === undefined ? error.message : `${path}: ${error.message}`;
  return new TributaryError(known, message, { cause: error });
}
