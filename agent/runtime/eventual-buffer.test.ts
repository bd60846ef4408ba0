import { seededRandom } from '@tributary/core/clock/random';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { BufferIdentity, BufferStatus, Buffer as EdgeBuffer } from '../buffer/buffer.js';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import { EventualBuffer } from './eventual-buffer.js';

const full = () => new TributaryError('disk-full', 'no space is left for the buffer');

/** A disk that refuses so many openings, and then so many calls. */
function surroundings(refusals: number) {
  const scheduler = new ManualScheduler();
  const world = { attempts: 0, refusals, callsRefused: 0, closed: 0, error: full() };
  const real = {
    identity: { epoch: new Uint8Array(16).fill(9), highestSequence: 7 } as BufferIdentity,
    status: async () => {
      if (world.callsRefused-- > 0) throw full();
      return { highestSequence: 7 } as BufferStatus;
    },
    addSeries: async () => [],
    close: async () => {
      world.closed++;
    },
  } as Partial<EdgeBuffer> as EdgeBuffer;
  const open = async () => {
    world.attempts++;
    if (world.refusals-- > 0) throw world.error;
    return real;
  };
  const patience = { scheduler, random: seededRandom(1), log: pino({ level: 'silent' }) };
  return { scheduler, world, open, opening: () => EventualBuffer.open(open(), open, patience) };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

describe('a buffer whose disk refuses it', () => {
  it('is open at once where the disk is as it should be', async () => {
    const buffer = await surroundings(0).opening();
    expect(buffer.isOpen).toBe(true);
    expect(buffer.identity.highestSequence).toBe(7);
    expect(buffer.trouble).toBeUndefined();
  });

  it('lets the agent go on, says why, and is there within ten seconds after the disk takes it', async () => {
    const { scheduler, world, opening } = surroundings(30);
    const buffer = await opening();
    expect(buffer.isOpen).toBe(false);
    expect(buffer.trouble).toBe('no space is left for the buffer');
    expect(buffer.identity).toMatchObject({ highestSequence: 0, series: [], segments: [] });
    await expect(buffer.addSeries([])).rejects.toMatchObject({ code: 'disk-full' });
    expect(await buffer.status()).toMatchObject({ itemsWaiting: 0 });
    for (let second = 0; world.refusals > 0; second++) {
      expect(second).toBeLessThan(300);
      scheduler.advance(1_000);
      await turns();
    }
    for (let second = 0; second < 10 && !buffer.isOpen; second++) {
      scheduler.advance(1_000);
      await turns();
    }
    expect(buffer.isOpen).toBe(true);
    expect((await buffer.opened).highestSequence).toBe(7);
    expect(await buffer.addSeries([])).toEqual([]);
    expect(buffer.trouble).toBeUndefined();
  });

  it.each(['busy', 'unsupported'] as const)('does not wait for what no waiting mends: %s', async (code) => {
    const { world, opening } = surroundings(1);
    world.error = new TributaryError(code, 'no');
    await expect(opening()).rejects.toMatchObject({ code });
    expect(world.attempts).toBe(1);
  });

  it('answers its last status while the disk is away', async () => {
    const { world, opening } = surroundings(0);
    const buffer = await opening();
    await buffer.status();
    world.callsRefused = 1;
    expect(await buffer.status()).toEqual({ highestSequence: 7 });
    expect(buffer.trouble).toBe('no space is left for the buffer');
    await buffer.status();
    expect(buffer.trouble).toBeUndefined();
  });

  it('tries no more once it is closed', async () => {
    const { scheduler, world, opening } = surroundings(Number.POSITIVE_INFINITY);
    const buffer = await opening();
    await buffer.close();
    const { attempts } = world;
    scheduler.advance(60_000);
    await turns();
    expect(world.attempts).toBe(attempts);
    expect(world.closed).toBe(0);
  });
});
