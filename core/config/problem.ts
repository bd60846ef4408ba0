import { TributaryError } from '../errors/tributary-error.js';

/** One thing that is wrong in a configuration file. Line and column count from 1, as editors do. */
export interface ConfigProblem {
  line: number;
  column: number;
  /** Dotted path of the field, `sources[0].baudRate`; empty for the file as a whole. */
  field: string;
  /** What is wrong and, after a semicolon, what would be right. */
  message: string;
}

/** More than this is one mistake repeated, and nobody reads further. */
const problemsShownMax = 20;

/** What is wrong in a file: an error with code `config` whose message has the first problems, and all of them as data. */
export class ConfigError extends TributaryError {
  readonly file: string;
  /** In the order of the file. */
  readonly problems: readonly ConfigProblem[];

  constructor(file: string, message: string, problems: readonly ConfigProblem[]) {
    super('config', message);
    this.file = file;
    this.problems = problems;
  }
}

/** All problems of a file as one error with code `config`, one line each, in the order of the file. */
export function configError(file: string, problems: readonly ConfigProblem[]): ConfigError {
  const inOrder = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const lines = inOrder.slice(0, problemsShownMax).map((problem) => problemText(file, problem));
  if (inOrder.length > problemsShownMax) {
    lines.push(`${file}: ${inOrder.length - problemsShownMax} more problems are not shown; correct these first`);
  }
  return new ConfigError(file, lines.join('\n'), inOrder);
}

/** A problem as a line: `FILE:LINE:COLUMN: field: what is wrong; what would be right`. */
export function problemText(file: string, { line, column, field, message }: ConfigProblem): string {
  return `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`;
}

/** `['sources', 0, 'baudRate']` as `sources[0].baudRate`. */
export function fieldName(path: readonly PropertyKey[]): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else text += text === '' ? String(key) : `.${String(key)}`;
  }
  return text;
}
