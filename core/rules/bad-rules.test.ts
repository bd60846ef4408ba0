import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../errors/tributary-error.js';
import { parseRules } from './rule.js';

// The sources' folder: the compiler does not copy YAML.
const folder = fileURLToPath(new URL('../../rules/bad/', import.meta.url));

function messageOf(text: string, file: string): string {
  try {
    parseRules(text, file);
  } catch (error) {
    expect(error).toBeInstanceOf(TributaryError);
    expect((error as TributaryError).code).toBe('config');
    return (error as TributaryError).message;
  }
  throw new Error('nothing was refused');
}

describe('a wrong rule', () => {
  it.each(readdirSync(folder))('is refused with place, field, value and remedy: %s', (file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    const expected = [...text.matchAll(/^# expected: (.*)$/gm)].map(([, line]) => `${file}:${line}`);
    expect(expected).not.toHaveLength(0);
    expect(messageOf(text, file).split('\n')).toEqual(expected);
  });
});
