/** Moments at which a crash leaves something worth a look. */
export type FailpointName =
  | 'buffer-before-commit'
  | 'buffer-after-commit'
  | 'buffer-delete'
  | 'upload-send'
  | 'upload-rotate'
  | 'upload-acknowledged'
  | 'action-begin'
  | 'action-end'
  | 'store-before-commit'
  | 'store-after-commit'
  | 'upload-before-answer';

/**
 * Ends the process here as a power cut would (SIGKILL), if `TRIBUTARY_FAILPOINT` was `NAME:HIT` when it started and this is
 * the HIT-th time (from 1, 1 by default) that a thread of it comes by. Otherwise it is an empty function.
 */
export const failpoint = armedBy(process.env.TRIBUTARY_FAILPOINT, () => process.kill(process.pid, 'SIGKILL'));

/** The function for a setting of the environment variable. */
export function armedBy(setting: string | undefined, crash: () => void): (name: FailpointName) => void {
  if (setting === undefined || setting === '') return () => {};
  const [armed, hit = '1'] = setting.split(':');
  let left = Number(hit);
  return (name) => {
    if (name === armed && --left === 0) crash();
  };
}
