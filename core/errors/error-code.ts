/** What kind of trouble it is. Stable: scripts, metrics and tests rely on these words. */
export type ErrorCode =
  /** The command line is wrong. */
  | 'usage'
  /** A configuration file, or a file that it names, is wrong. */
  | 'config'
  | 'not-found'
  | 'exists'
  | 'permission'
  | 'disk-full'
  | 'disk'
  /** Somebody else holds it: a lock, a port, a serial line. */
  | 'busy'
  /** Out of file descriptors, memory or a quota of the other side. */
  | 'exhausted'
  | 'network'
  | 'tls'
  | 'unauthenticated'
  | 'deadline'
  | 'cancelled'
  /** Stored or received bytes are not what they must be. */
  | 'corrupt'
  | 'unsupported'
  /** A bug, or something that nobody foresaw. */
  | 'internal';
