import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isJournal, withPriorities } from './journal.js';
import { createLogger } from './logger.js';

describe('the journal', () => {
  it('is recognised by the stream that systemd names, and by nothing else', () => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-'));
    const fd = openSync(join(folder, 'stream'), 'w');
    try {
      const { dev, ino } = fstatSync(fd);
      expect(isJournal(fd, { JOURNAL_STREAM: `${dev}:${ino}` })).toBe(true);
      expect(isJournal(fd, { JOURNAL_STREAM: `${dev}:${ino + 1}` })).toBe(false);
      expect(isJournal(fd, {})).toBe(false);
      expect(isJournal(12_345, { JOURNAL_STREAM: `${dev}:${ino}` })).toBe(false);
    } finally {
      closeSync(fd);
      rmSync(folder, { recursive: true });
    }
  });

  it('gets the priority of each line before its JSON', () => {
    const lines: string[] = [];
    const log = createLogger('tributary-agent', 'trace', withPriorities({ write: (line) => lines.push(line) }));
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
    log.fatal('e');
    expect(lines.map((line) => line.slice(0, 3))).toEqual(['<7>', '<6>', '<4>', '<3>', '<2>']);
    expect(JSON.parse(lines[3].slice(3))).toMatchObject({ level: 'error', msg: 'd' });
  });
});
