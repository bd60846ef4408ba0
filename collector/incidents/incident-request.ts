import { INCIDENT_ID_BYTES } from '@tributary/core/rules/incident-id';
import { CallError } from '../server/call-error.js';

/**
 * A comment takes at most so many bytes: some thirty lines, after which a link is better. All comments of an incident, 900
 * of them, then fit the 4 MiB that clients take in one answer.
 */
const COMMENT_BYTES_MAX = 2000;
/** Of patterns and of names in them: names are at most half as long. */
const PATTERN_LENGTH_MAX = 256;

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/;

/** The id of an incident in a request. Throws a `CallError` when it is none. */
export function checkIncidentId(incidentId: Uint8Array): Uint8Array {
  if (incidentId.length === INCIDENT_ID_BYTES) return incidentId;
  const detail = `${incidentId.length} bytes; the ${INCIDENT_ID_BYTES} bytes of an incident's id are needed`;
  throw new CallError('invalid', `incident_id: ${detail}`);
}

/** First digits of an id; undefined when none are given. Throws a `CallError` when they are no digits, or too few. */
export function checkIdPrefix(prefix: string): string | undefined {
  if (prefix === '') return undefined;
  const digits = prefix.toLowerCase();
  if (/^[0-9a-f]{8,32}$/.test(digits)) return digits;
  const shown = JSON.stringify(prefix.slice(0, 40));
  throw new CallError('invalid', `id_prefix: ${shown}; the first 8 to 32 hexadecimal digits of an id are needed`);
}

/** A pattern over names; undefined when it is empty. Throws a `CallError` when it is longer than any name may be. */
export function checkPattern(field: string, pattern: string): string | undefined {
  if (pattern.length > PATTERN_LENGTH_MAX) {
    throw new CallError('invalid', `${field}: ${pattern.length} characters; at most ${PATTERN_LENGTH_MAX} are taken`);
  }
  return pattern === '' ? undefined : pattern;
}

/** What somebody writes, without space around it. Throws a `CallError` when it is too long or would disturb a terminal. */
export function checkComment(comment: string): string {
  const bytes = Buffer.byteLength(comment);
  if (bytes > COMMENT_BYTES_MAX) {
    throw new CallError('invalid', `comment: ${bytes} bytes; at most ${COMMENT_BYTES_MAX} are taken`);
  }
  const control = CONTROL.exec(comment);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0');
    throw new CallError('invalid', `comment: holds the control character U+${code}; write plain text`);
  }
  return comment.trim();
}
