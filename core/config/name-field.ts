import { readFileSync } from 'node:fs';
import { TributaryError } from '../errors/tributary-error.js';
import { fieldName } from './problem.js';
import { parseYaml } from './yaml-document.js';

/** A field of a configuration that names a file, as `['tls', 'key']`, and the path that it came to. */
export interface FileField {
  path: readonly (string | number)[];
  file: string | undefined;
}

/**
 * Runs `use`, which reads files that a configuration names. What is wrong with one of them is then told with the place of
 * the field that names it: `FILE:LINE:COL: tls.key: /path/of/key.pem: ...`. Errors that have a place of their own, such as
 * those of a rule file, are left as they are.
 */
export async function namingField<T>(
  configFile: string,
  fields: readonly FileField[],
  use: () => T | Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (thrown) {
    if (!(thrown instanceof TributaryError) || thrown.code !== 'config') throw thrown;
    const { message } = thrown;
    const blamed = fields.find(({ file }) => file !== undefined && message.startsWith(`${file}: `));
    if (blamed === undefined) throw thrown;
    // Parsed again only now: a configuration that is in order is not read twice.
    const parsed = parseYaml(readFileSync(configFile, 'utf8'));
    if ('problems' in parsed) throw thrown;
    const { line, column } = parsed.document.locate(blamed.path, 'value');
    const text = `${configFile}:${line}:${column}: ${fieldName(blamed.path)}: ${message}`;
    throw new TributaryError('config', text, { cause: thrown });
  }
}

/** The fields of `tls`, which both sides have. */
export function tlsFields(tls: { ca: string; cert: string; key: string }): FileField[] {
  return (['ca', 'cert', 'key'] as const).map((key) => ({ path: ['tls', key], file: tls[key] }));
}
