import type { Logger } from 'pino';
import type { BufferIdentity } from '../buffer/buffer.js';
import { isCrowded } from '../buffer/catalogue.js';

/** Says in the log what was wrong with a buffer that was opened, if anything was. */
export function reportOpening(
  { opened, salvaged, isSuspect, segments, anchors }: BufferIdentity,
  path: string,
  log: Logger,
): void {
  if (opened === 'recovered') {
    log.error({ path, ...salvaged }, 'a damaged buffer was moved aside; what passes was carried over');
    if (!isSuspect) log.error({ path }, 'its epoch could not be read: what it had is lost and cannot be declared');
  } else if (isSuspect && isCrowded({ segments, anchors })) {
    log.info({ path, segments: segments.length }, 'the epoch has nearly all the segments that it may have; it is left');
  } else if (isSuspect) {
    log.error({ path }, 'the end of the buffer is lost; what may be missing is declared');
  }
}
