import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import { type Progress, STUCK_MS, stuckPart } from './progress.js';
import { Watchdog } from './watchdog.js';

const EVERY_MS = 20_000;

function watched(progress: () => Promise<Progress>) {
  const scheduler = new ManualScheduler();
  const said: string[] = [];
  const pets: string[] = [];
  const log = pino({}, { write: (line: string) => said.push((JSON.parse(line) as { why: string }).why) });
  const watchdog = new Watchdog({ scheduler, log, everyMs: EVERY_MS, progress, pet: (summary) => pets.push(summary) });
  watchdog.start();
  const pass = async (looks: number) => {
    for (let look = 0; look < looks; look++) {
      scheduler.advance(EVERY_MS);
      await new Promise(setImmediate);
    }
  };
  return { pass, pets, said, watchdog };
}

describe('the watchdog', () => {
  it('tells at each look that the agent gets on, and no more after its end', async () => {
    const { pass, pets, watchdog } = watched(() => Promise.resolve({ summary: 'uplink idle' }));
    await pass(3);
    expect(pets).toEqual(['uplink idle', 'uplink idle', 'uplink idle']);
    watchdog.stop();
    await pass(2);
    expect(pets).toHaveLength(3);
  });

  it('is silent while a part is stuck, and says which; it goes on when that is over', async () => {
    let stuck: string | undefined = 'source "board" is late by 40 s';
    const { pass, pets, said } = watched(() =>
      Promise.resolve({ summary: '', ...(stuck === undefined ? {} : { stuck }) }),
    );
    await pass(2);
    expect(pets).toEqual([]);
    expect(said).toEqual([stuck, stuck]);
    stuck = undefined;
    await pass(1);
    expect(pets).toHaveLength(1);
  });

  it('is silent while the buffer thread does not answer, without asking it again', async () => {
    let asked = 0;
    const { pass, pets, said } = watched(() => {
      asked++;
      return new Promise(() => {});
    });
    await pass(3);
    expect(asked).toBe(1);
    expect(pets).toEqual([]);
    expect(said.at(-1)).toBe('the buffer thread has not answered for 40 s');
  });

  it('is silent when the buffer thread has ended', async () => {
    const { pass, pets, said } = watched(() => Promise.reject(new Error('the buffer is closed')));
    await pass(1);
    expect(pets).toEqual([]);
    expect(said[0]).toContain('the buffer is closed');
  });
});

describe('a part', () => {
  it('counts as stuck only when it is late by more than a stall', () => {
    const parts = [
      { part: 'the uplink', overdueMs: STUCK_MS - 1 },
      { part: 'closing batches', overdueMs: 12 },
    ];
    expect(stuckPart(parts)).toBeUndefined();
    expect(stuckPart([...parts, { part: 'source "a"', overdueMs: STUCK_MS + 5000 }])).toBe(
      'source "a" is late by 35 s',
    );
  });
});
