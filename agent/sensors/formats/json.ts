import type { LineDropReason } from './line-drop.js';
import type { LineFormat } from './line-format.js';
import type { LineStage } from './line-stage.js';
import { tokenKind } from './strict-text.js';

/** Names of a path. Deeper objects are documents, not readings, and each level is recursion. */
const DEPTH_MAX = 4;

const BLANKS = /[ \t]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?=[ \t,}]|$)/y;
const BARE = /[^ \t,{}[\]":]+/y;

/**
 * One JSON object (RFC 8259) a line; `{"in": {"t": 21.5}}` becomes the field `in.t`. Arrays and null are refused. Parsed
 * by hand: `JSON.parse` builds objects and silently keeps the last of two equal keys.
 */
export class JsonFormat implements LineFormat {
  #text = '';
  #at = 0;

  parse(text: string, stage: LineStage): LineDropReason | undefined {
    this.#text = text;
    this.#at = 0;
    this.#blanks();
    if (text[this.#at] === '[') return 'array';
    if (text[this.#at] !== '{') return 'malformed';
    const reason = this.#object('', 1, stage);
    if (reason !== undefined) return reason;
    this.#blanks();
    return this.#at === text.length ? undefined : 'malformed';
  }

  /** At an opening brace; leaves behind the closing one. */
  #object(prefix: string, depth: number, stage: LineStage): LineDropReason | undefined {
    if (depth > DEPTH_MAX) return 'nested_too_deep';
    this.#at += 1;
    this.#blanks();
    if (this.#take('}')) return undefined;
    for (;;) {
      const key = this.#string();
      if (key === undefined) return 'malformed';
      if (key === '') return 'bad_name';
      this.#blanks();
      if (!this.#take(':')) return 'malformed';
      this.#blanks();
      const reason = this.#value(prefix === '' ? key : `${prefix}.${key}`, depth, stage);
      if (reason !== undefined) return reason;
      this.#blanks();
      if (this.#take('}')) return undefined;
      if (!this.#take(',')) return 'malformed';
      this.#blanks();
    }
  }

  #value(field: string, depth: number, stage: LineStage): LineDropReason | undefined {
    const first = this.#text[this.#at];
    if (first === '"') {
      const text = this.#string();
      return text === undefined ? 'malformed' : stage.string(field, text);
    }
    if (first === '{') return this.#object(field, depth + 1, stage);
    if (first === '[') return 'array';
    const number = this.#match(NUMBER);
    if (number !== undefined) return stage.number(field, Number(number));
    switch (this.#match(BARE)) {
      case undefined:
        return 'malformed';
      case 'true':
        return stage.boolean(field, true);
      case 'false':
        return stage.boolean(field, false);
      case 'null':
        return stage.wants(field) ? 'null_value' : undefined;
      default:
        return this.#bareFault();
    }
  }

  /** What a bare word or a number that JSON does not know is. */
  #bareFault(): LineDropReason {
    const start = Math.max(this.#text.lastIndexOf(':', this.#at - 1), 0) + 1;
    const kind = tokenKind(this.#text.slice(start, this.#at).trim());
    if (kind === 'not_a_number') return kind;
    // `.5` and `+5` are numbers elsewhere, not in JSON.
    return kind === 'number' || kind === 'bad_number' ? 'bad_number' : 'malformed';
  }

  /** At an opening quote; the string without escapes, or undefined when there is none. */
  #string(): string | undefined {
    if (this.#text[this.#at] !== '"') return undefined;
    const start = this.#at;
    for (let end = start + 1; end < this.#text.length; end += 1) {
      const code = this.#text.charCodeAt(end);
      if (code === 0x09) return undefined;
      if (code === 0x5c) end += 1;
      else if (code === 0x22) {
        this.#at = end + 1;
        return unquote(this.#text.slice(start, end + 1));
      }
    }
    return undefined;
  }

  #blanks(): void {
    BLANKS.lastIndex = this.#at;
    BLANKS.exec(this.#text);
    this.#at = BLANKS.lastIndex;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return undefined;
    this.#at += match[0].length;
    return match[0];
  }
}

/** A quoted JSON string as text; undefined where an escape is none. */
function unquote(quoted: string): string | undefined {
  if (!quoted.includes('\\')) return quoted.slice(1, -1);
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
}
