import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import { whenThereIsRoom } from './disk-room.js';

function surroundings() {
  return { scheduler: new ManualScheduler(), random: seededRandom(1), log: pino({ level: 'silent' }) };
}

describe('starting on a full disk', () => {
  it('goes on when there is room, however long that takes', async () => {
    const world = surroundings();
    let attempts = 0;
    const opened = whenThereIsRoom(async () => {
      if (++attempts < 20) throw new TributaryError('disk-full', 'no space');
      return 'open';
    }, world);
    for (let i = 0; i < 20; i++) {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
      world.scheduler.advance(30_000);
    }
    expect(await opened).toBe('open');
    expect(attempts).toBe(20);
  });

  it('does not wait for what no waiting mends', async () => {
    const attempt = async () => Promise.reject(new TributaryError('busy', 'another agent has it'));
    await expect(whenThereIsRoom(attempt, surroundings())).rejects.toMatchObject({ code: 'busy' });
  });
});
