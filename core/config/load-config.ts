import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type * as v from 'valibot';
import { TributaryError } from '../errors/tributary-error.js';
import { explainIssues } from './explain-issue.js';
import { folderConfig } from './file-path.js';
import { configError } from './problem.js';
import { parseYaml } from './yaml-document.js';

/** A configuration is written by hand; more than this is some other file. */
const fileBytesMax = 1024 * 1024;

/**
 * Reads and checks a configuration file. Throws a `TributaryError` with code `config` whose message names file, line,
 * column and field of every problem (at most 20), one a line.
 */
export function loadConfig<S extends v.GenericSchema>(file: string, schema: S): v.InferOutput<S> {
  return parseConfig(readText(file), file, schema);
}

/** Like `loadConfig` for a text at hand. `fileName` is for messages and gives the folder that relative paths start at. */
export function parseConfig<S extends v.GenericSchema>(text: string, fileName: string, schema: S): v.InferOutput<S> {
  const parsed = parseSafely(text, fileName);
  if ('problems' in parsed) throw configError(fileName, parsed.problems);
  const { document } = parsed;
  if (document.value === null || document.value === undefined) {
    throw new TributaryError('config', `${fileName}: the file is empty; a configuration is needed`);
  }
  // Not v.safeParse, because that keeps no more of its configuration than valibot's own fields.
  const result = schema['~run']({ value: document.value }, folderConfig(dirname(resolve(fileName))));
  if (result.typed && result.issues === undefined) return result.value;
  throw configError(fileName, explainIssues(result.issues ?? [], schema, document));
}

function parseSafely(text: string, fileName: string): ReturnType<typeof parseYaml> {
  try {
    return parseYaml(text);
  } catch (error) {
    // The composer recurses: thousands of nested brackets exhaust the stack, which V8 reports as a RangeError.
    if (error instanceof RangeError)
      throw new TributaryError('config', `${fileName}: the values are nested too deeply`);
    throw error;
  }
}

function readText(file: string): string {
  const bytes = readBytes(file);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TributaryError('config', `${file}: it is not UTF-8 text; save it as UTF-8`, { cause });
  }
}

function readBytes(file: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) {
      throw new TributaryError('config', `${file}: it is a directory; name the configuration file inside it`);
    }
    if (stat.size > fileBytesMax) throw tooLarge(file);
    bytes = readFileSync(file);
  } catch (thrown) {
    const error = TributaryError.from(thrown);
    if (error.code === 'config') throw error;
    throw new TributaryError('config', `${error.message}; name a file that is there and can be read`, {
      cause: thrown,
    });
  }
  // A pipe has no size beforehand.
  if (bytes.length > fileBytesMax) throw tooLarge(file);
  return bytes;
}

function tooLarge(file: string): TributaryError {
  return new TributaryError('config', `${file}: it is larger than 1 MiB; that is no configuration`);
}
