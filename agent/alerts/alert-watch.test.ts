import type { Scheduler } from '@tributary/core/clock/clock';
import { seededRandom } from '@tributary/core/clock/random';
import { Alert, AlertState, type WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { UplinkLink, WatchEvents } from '../uplink/uplink-link.js';
import { AlertWatch } from './alert-watch.js';

const alert = (number: number, state = AlertState.FIRING): Alert => ({
  ...Alert.decode(new Uint8Array(0)),
  number,
  state,
  incidentId: new Uint8Array(16).fill(number),
});

/** A scheduler that stands still until it is told, and a collector's side of the stream. */
function surroundings(cursor = 0) {
  const timers: { fire: () => void; delayMs: number }[] = [];
  let nowMs = 0;
  const scheduler: Scheduler = {
    nowMs: () => nowMs,
    setTimer: (delayMs, fire) => {
      const timer = { fire, delayMs };
      timers.push(timer);
      return () => {
        const at = timers.indexOf(timer);
        if (at >= 0) timers.splice(at, 1);
      };
    },
  };
  const stored = new Map<string, number>();
  let storeFails = false;
  const handled: number[] = [];
  const desk = {
    take: async (alerts: readonly Alert[]) => {
      if (storeFails) throw new Error('disk');
      const fresh = alerts.filter(({ incidentId, state, number }) => {
        const key = `${Buffer.from(incidentId).toString('hex')}/${state}`;
        if (stored.has(key)) return false;
        stored.set(key, number);
        return true;
      });
      handled.push(...fresh.map(({ number }) => number));
      return fresh;
    },
  };
  const watches: { cursor: number; events: WatchEvents; paused: boolean; cancelled: boolean }[] = [];
  const acknowledged: number[] = [];
  const link = {
    watchAlerts: (from: number, events: WatchEvents) => {
      const watch = { cursor: from, events, paused: false, cancelled: false };
      watches.push(watch);
      return {
        pause: () => {
          watch.paused = true;
        },
        resume: () => {
          watch.paused = false;
        },
        cancel: () => {
          watch.cancelled = true;
        },
      };
    },
    acknowledgeAlerts: (number: number, done: (result: { ok: true; response: undefined }) => void) => {
      acknowledged.push(number);
      queueMicrotask(() => done({ ok: true, response: undefined }));
      return () => {};
    },
  } as Partial<UplinkLink> as UplinkLink;
  let registerAgain = 0;
  const watch = new AlertWatch(cursor, {
    desk,
    scheduler,
    random: seededRandom(1),
    log: pino({ level: 'silent' }),
    registerAgain: () => {
      registerAgain++;
    },
  });
  return {
    watch,
    link,
    watches,
    acknowledged,
    handled,
    timers,
    passMs: (ms: number) => {
      nowMs += ms;
    },
    failStores: (fails: boolean) => {
      storeFails = fails;
    },
    registerAgain: () => registerAgain,
    send: (value: Alert) =>
      watches.at(-1)!.events.message({ message: { $case: 'alert', value } } satisfies WatchAlertsResponse),
    settled: async () => {
      for (let i = 0; i < 500; i++) await Promise.resolve();
    },
  };
}

describe('watching alerts', () => {
  it('brings each to the desk and acknowledges', async () => {
    const world = surroundings(4);
    world.watch.attach(world.link, 0);
    expect(world.watches[0].cursor).toBe(4);
    world.send(alert(5));
    world.send(alert(6));
    world.send({ ...alert(7), incidentId: new Uint8Array(16).fill(6) });
    await world.settled();
    expect(world.handled).toEqual([5, 6]);
    expect(world.acknowledged.at(-1)).toBe(7);
    expect(world.watch.cursor).toBe(7);
    expect(world.watch.counters).toEqual({ received: 2, repeated: 1 });
  });

  it('begins where the collector knows that an earlier buffer of this device had come', async () => {
    const world = surroundings(0);
    world.watch.attach(world.link, 17);
    expect(world.watches[0].cursor).toBe(17);
    world.send(alert(16));
    world.send(alert(18));
    await world.settled();
    expect(world.handled).toEqual([18]);
    world.watch.attach(world.link, 3);
    expect(world.watches[1].cursor).toBe(18);
  });

  it('acknowledges on a new link what an earlier one may not have heard', async () => {
    const world = surroundings(4);
    world.watch.attach(world.link, 0);
    await world.settled();
    expect(world.acknowledged).toEqual([4]);
  });

  it('resumes from its cursor after a break, each time later', async () => {
    const world = surroundings();
    world.watch.attach(world.link, 0);
    world.send(alert(1));
    await world.settled();
    let total = 0;
    for (let i = 0; i < 30; i++) {
      world.watches.at(-1)!.events.ended(undefined);
      const timer = world.timers.pop()!;
      expect(timer.delayMs).toBeLessThanOrEqual(60_000);
      total += timer.delayMs;
      timer.fire();
      expect(world.watches.at(-1)!.cursor).toBe(1);
    }
    expect(total).toBeGreaterThan(100_000);
    world.passMs(30_000);
    world.watches.at(-1)!.events.ended(undefined);
    expect(world.timers.pop()!.delayMs).toBeLessThanOrEqual(1000);
  });

  it('holds the stream back while it cannot keep up', async () => {
    const world = surroundings();
    world.watch.attach(world.link, 0);
    for (let number = 1; number <= 100; number++) world.send(alert(number));
    expect(world.watches[0].paused).toBe(true);
    await world.settled();
    expect(world.watches[0].paused).toBe(false);
    expect(world.handled).toHaveLength(100);
  });

  it('begins anew from the cursor when alerts cannot be stored', async () => {
    const world = surroundings();
    world.watch.attach(world.link, 0);
    world.failStores(true);
    world.send(alert(1));
    await world.settled();
    expect(world.handled).toEqual([]);
    expect(world.acknowledged).toEqual([]);
    expect(world.watches[0].cancelled).toBe(true);
    world.failStores(false);
    world.timers.pop()!.fire();
    expect(world.watches[1].cursor).toBe(0);
    world.send(alert(1));
    await world.settled();
    expect(world.handled).toEqual([1]);
  });

  it('tells the uplink when the collector wants a registration', () => {
    const world = surroundings();
    world.watch.attach(world.link, 0);
    world.watches[0].events.message({ message: { $case: 'registerAgain', value: {} } });
    world.watches[0].events.message({ message: { $case: 'rulesChanged', value: { version: '2' } } });
    expect(world.registerAgain()).toBe(2);
  });

  it('is quiet after it was detached', () => {
    const world = surroundings();
    world.watch.attach(world.link, 0);
    world.watches[0].events.ended(undefined);
    world.watch.detach();
    expect(world.timers).toHaveLength(0);
  });
});
