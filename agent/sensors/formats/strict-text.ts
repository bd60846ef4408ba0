import type { LineDropReason } from './line-drop.js';

/** What one token of a text format is, before anything is known about its field. */
export type TokenKind = 'number' | 'boolean' | 'word' | LineDropReason;

// Microcontrollers print `.5`, `5.` and `021.50`; those are unambiguous. Hex, separators of thousands, a decimal comma
// and anything behind the number are not taken.
const number = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const beginsLikeNumber = /^[+\-.\d]/;
const noNumber = /^[+-]?(?:nan(?:\(.*\))?|inf|infinity|null|none|nil|na|n\/a|undefined)$/i;
const word = /^[\p{L}_]/u;
const loneSurrogate = /[\ud800-\udfff]/u;
const name = /^[\p{L}_][\p{L}\p{N}_.:/-]*$/u;

/** Classifies a token without surrounding blanks. Never guesses: what is not plainly one thing is a reason to drop. */
export function tokenKind(token: string): TokenKind {
  if (number.test(token)) return 'number';
  if (token === '') return 'empty_value';
  if (token === 'true' || token === 'false') return 'boolean';
  if (noNumber.test(token)) return 'not_a_number';
  if (beginsLikeNumber.test(token)) return 'bad_number';
  return word.test(token) ? 'word' : 'bad_value';
}

/** Whether a token can name a field: begins with a letter or underscore, goes on with those, digits and `. : / -`. */
export function isFieldName(token: string): boolean {
  return name.test(token);
}

/** What forbids this text in any value or name, whatever the format: a control character (a tab is none), a lone surrogate. */
export function textFault(text: string): 'control_character' | 'not_utf8' | undefined {
  let surrogates = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || (code >= 0x7f && code <= 0x9f)) return 'control_character';
    surrogates ||= code >= 0xd800 && code <= 0xdfff;
  }
  return surrogates && loneSurrogate.test(text) ? 'not_utf8' : undefined;
}
