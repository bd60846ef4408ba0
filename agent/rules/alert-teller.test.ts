import { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { ManualScheduler } from '../sensors/manual-scheduler.js';
import { AlertTeller } from './alert-teller.js';

const alert = (number: number): Alert => ({ ...Alert.decode(new Uint8Array(0)), number });

function surroundings() {
  const scheduler = new ManualScheduler();
  const world = { fails: false, acted: [] as number[][], told: [] as number[], scheduler };
  const teller = new AlertTeller({
    scheduler,
    log: pino({ level: 'silent' }),
    act: async (alerts) => {
      if (world.fails) throw new Error('disk');
      world.acted.push(alerts.map(({ number }) => number));
    },
  });
  const tell = (number: number) => teller.tell(alert(number), () => world.told.push(number));
  return { ...world, world, teller, tell };
}

describe('telling alerts', () => {
  it('hands those of one moment over together, in order, and says when they were taken', async () => {
    const { world, teller, tell } = surroundings();
    for (let number = 1; number <= 40; number++) tell(number);
    await teller.settled();
    expect(world.acted.map((some) => some.length)).toEqual([32, 8]);
    expect(world.told).toEqual(world.acted.flat());
    expect(teller.waiting).toBe(0);
  });

  it('goes on trying where they cannot be taken, and keeps their order', async () => {
    const { world, teller, tell, scheduler } = surroundings();
    world.fails = true;
    tell(1);
    await teller.settled();
    expect([teller.waiting, world.told]).toEqual([1, []]);
    world.fails = false;
    scheduler.advance(1000);
    tell(2);
    await teller.settled();
    expect(world.acted.flat()).toEqual([1, 2]);
    expect(scheduler.pending).toBe(0);
  });
});
