import type { GrpcOutcome } from '@tributary/core/errors/grpc-status';
import { describe, expect, it } from 'vitest';
import { ModelBuffer, unavailable, World } from './uplink-world.js';

const DEVICES = 300;
const OUTAGE_MS = 600_000;

/** Devices that lost their collector at one moment; half of them see their connections refused, half see nothing. */
function fleet(): World[] {
  return Array.from({ length: DEVICES }, (_, i) => {
    const world = new World(new ModelBuffer(), {}, i + 1);
    world.ready();
    world.send({ type: 'disconnected', link: world.link! });
    const isRefused = i % 2 === 0;
    while (world.nowMs < OUTAGE_MS) {
      if (isRefused && world.link !== undefined) {
        world.send({ type: 'connect-failed', link: world.link, failure: unavailable });
      } else if (world.core.wakeAtMs > OUTAGE_MS) break;
      else world.wake();
    }
    world.nowMs = OUTAGE_MS;
    return world;
  });
}

/** Lets the collector be back, taking so many connections a second and telling the others when to come again. */
function comeBack(worlds: World[], connectionsASecond: number): number[] {
  const backMs: number[] = [];
  const budget = new Map<number, number>();
  const waiting = new Set(worlds);
  // The device whose moment comes first, until all are back.
  while (waiting.size > 0) {
    let world: World | undefined;
    for (const each of waiting) if (world === undefined || each.core.wakeAtMs < world.core.wakeAtMs) world = each;
    const next = world!;
    // An attempt from the outage leads nowhere; one that begins now is answered at once.
    next.wake();
    if (next.link === undefined) continue;
    const second = Math.floor(next.nowMs / 1000);
    const left = budget.get(second) ?? connectionsASecond;
    if (left === 0) {
      const busy: GrpcOutcome = { ...unavailable, hint: { kind: 'after', delayMs: 10_000 } };
      next.send({ type: 'connect-failed', link: next.link, failure: busy });
      continue;
    }
    budget.set(second, left - 1);
    next.connect();
    next.answerRegister();
    waiting.delete(next);
    backMs.push(next.nowMs - OUTAGE_MS);
  }
  return backMs.sort((a, b) => a - b);
}

describe('a fleet after an outage', () => {
  it('is back within two minutes, and not all at once', () => {
    const backMs = comeBack(fleet(), DEVICES);
    expect(backMs[Math.ceil(DEVICES * 0.95) - 1]).toBeLessThan(120_000);
    const seconds = new Map<number, number>();
    for (const ms of backMs) seconds.set(Math.floor(ms / 1000), (seconds.get(Math.floor(ms / 1000)) ?? 0) + 1);
    expect(Math.max(...seconds.values())).toBeLessThan(DEVICES / 10);
  });

  it('is back within two minutes too when the collector takes only a few a second and says when to come again', () => {
    const backMs = comeBack(fleet(), 5);
    expect(backMs[Math.ceil(DEVICES * 0.95) - 1]).toBeLessThan(120_000);
  });
});
