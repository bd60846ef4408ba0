import { TributaryError } from '@tributary/core/errors/tributary-error';
import { isDamage, isStorageFailure } from './buffer-file.js';

/** What a caller of the buffer is told when the file at `path` has failed: `corrupt`, `disk-full` or `disk`. */
export function unavailable(path: string, error: unknown): TributaryError {
  if (isDamage(error)) {
    return new TributaryError('corrupt', `${path}: it was damaged, and has been moved aside`, { cause: error });
  }
  if (!isStorageFailure(error)) return TributaryError.from(error);
  if (error.code.startsWith('SQLITE_FULL')) {
    return new TributaryError('disk-full', `${path}: no space is left for the buffer`, { cause: error });
  }
  return new TributaryError('disk', `${path}: the disk refused (${error.code}: ${error.message})`, { cause: error });
}

/** Whether it is the disk that refuses, which another place would not. */
export function isRefusal({ code }: TributaryError): boolean {
  return code === 'disk' || code === 'disk-full';
}
