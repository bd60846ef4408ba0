import { describe, expect, it } from 'vitest';
import { exitCodeOf, failureText } from './command-failure.js';
import { TributaryError } from './tributary-error.js';

describe('a failed command', () => {
  it('ends with 2 when the caller wrote something wrong, else with 1', () => {
    expect(exitCodeOf(new TributaryError('usage', 'x'))).toBe(2);
    expect(exitCodeOf(new TributaryError('config', 'x'))).toBe(2);
    expect(exitCodeOf(new TributaryError('internal', 'x'))).toBe(1);
  });

  it('prints a message and never a stack, unless somebody debugs', () => {
    const error = new TributaryError('internal', 'it broke', { cause: new Error('because of this') });
    expect(failureText(error, {})).toBe('error: it broke\n');
    const text = failureText(error, { TRIBUTARY_DEBUG: '1' });
    expect(text).toContain('error: it broke\n');
    expect(text).toContain('command-failure.test');
    expect(text).toContain('caused by: Error: because of this');
  });

  it('does not follow a loop of causes for ever', () => {
    const first = new Error('first');
    first.cause = first;
    expect(failureText(TributaryError.from(first), { TRIBUTARY_DEBUG: '1' }).match(/caused by/g)).toHaveLength(8);
  });
});
