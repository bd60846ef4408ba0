import type { ErrorCode } from './error-code.js';

/** What an operating-system error means, in words for a person. */
export interface ErrnoMeaning {
  code: ErrorCode;
  words: string;
}

const meanings: Readonly<Record<string, ErrnoMeaning>> = {
  ENOENT: { code: 'not-found', words: 'no such file or directory' },
  ENOTDIR: { code: 'not-found', words: 'a part of the path is not a directory' },
  EISDIR: { code: 'not-found', words: 'it is a directory, a file is needed' },
  EEXIST: { code: 'exists', words: 'it exists already' },
  ENOTEMPTY: { code: 'exists', words: 'the directory is not empty' },
  EACCES: { code: 'permission', words: 'permission denied' },
  EPERM: { code: 'permission', words: 'the operation is not permitted' },
  EROFS: { code: 'permission', words: 'the file system is read-only' },
  ENOSPC: { code: 'disk-full', words: 'no space is left on the disk' },
  EDQUOT: { code: 'disk-full', words: 'the disk quota is used up' },
  EFBIG: { code: 'disk-full', words: 'the file would become too large' },
  EIO: { code: 'disk', words: 'the device reported an input or output error' },
  ENODEV: { code: 'disk', words: 'no such device' },
  ENXIO: { code: 'disk', words: 'no such device' },
  ELOOP: { code: 'not-found', words: 'too many symbolic links' },
  ENAMETOOLONG: { code: 'usage', words: 'the name is too long' },
  EBUSY: { code: 'busy', words: 'it is in use' },
  EAGAIN: { code: 'busy', words: 'it is in use for the moment' },
  EADDRINUSE: { code: 'busy', words: 'the address is in use by another program' },
  EADDRNOTAVAIL: { code: 'network', words: 'this machine does not have that address' },
  EMFILE: { code: 'exhausted', words: 'this process has too many open files' },
  ENFILE: { code: 'exhausted', words: 'this machine has too many open files' },
  ENOMEM: { code: 'exhausted', words: 'no memory is left' },
  ECONNREFUSED: { code: 'network', words: 'the connection was refused, nobody listens there' },
  ECONNRESET: { code: 'network', words: 'the connection was reset by the other side' },
  ECONNABORTED: { code: 'network', words: 'the connection was aborted' },
  EPIPE: { code: 'network', words: 'the other side has closed the connection' },
  ETIMEDOUT: { code: 'network', words: 'the connection timed out' },
  EHOSTUNREACH: { code: 'network', words: 'the host cannot be reached' },
  ENETUNREACH: { code: 'network', words: 'the network cannot be reached' },
  ENETDOWN: { code: 'network', words: 'the network is down' },
  ENOTFOUND: { code: 'network', words: 'the host name is not known' },
  EAI_AGAIN: { code: 'network', words: 'the host name could not be looked up for the moment' },
};

/**
 * The meaning of a Node system error such as `ENOSPC` (names as in errno(3) and getaddrinfo(3)), with the path or
 * address that it is about. Undefined when `error` is none. No other file compares errno names.
 */
export function errnoMeaning(error: unknown): ErrnoMeaning | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (typeof code !== 'string' || !Object.hasOwn(meanings, code)) return undefined;
  const meaning = meanings[code];
  const about = path ?? (address === undefined ? undefined : port === undefined ? address : `${address}:${port}`);
  return about === undefined ? meaning : { code: meaning.code, words: `${about}: ${meaning.words}` };
}
