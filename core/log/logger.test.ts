import { describe, expect, it } from 'vitest';
import { createLogger } from './logger.js';

describe('a logger', () => {
  it('writes JSON lines with name, level and time, and keeps quiet below its level', () => {
    const lines: string[] = [];
    const log = createLogger('tributary-agent', 'info', { write: (line) => lines.push(line) });
    log.debug('not this');
    log.warn({ source: 'serial' }, 'the port is gone');
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0]) as Record<string, unknown>;
    expect(line).toMatchObject({ name: 'tributary-agent', level: 'warn', source: 'serial', msg: 'the port is gone' });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(lines[0].endsWith('\n')).toBe(true);
  });
});
