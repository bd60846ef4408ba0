import { seededRandom } from '@tributary/core/clock/random';
import { Backoff } from '@tributary/core/retry/backoff';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Admission, type AdmissionLimits } from './admission.js';

const limits: AdmissionLimits = {
  handshakesPerSecond: 10,
  handshakesBurst: 3,
  handshakesMax: 4,
  connectionsMax: 20,
  waitingMax: 2,
  waitMsMax: 1000,
};

describe('admission', () => {
  it('lets a burst in, then one a turn in order, and refuses beyond its queue', () => {
    const admission = new Admission<string>(limits);
    const decisions = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => admission.arrive(name, 0));
    expect(decisions).toEqual(['admit', 'admit', 'admit', 'wait', 'wait', 'refuse']);
    expect(admission.dueInMs(0)).toBe(100);
    expect(admission.due(99)).toEqual({ admit: [], refuse: [] });
    expect(admission.due(101)).toEqual({ admit: ['d'], refuse: [] });
    admission.handshakeEnded();
    expect(admission.arrive('g', 101)).toBe('wait');
    expect(admission.due(301)).toEqual({ admit: ['e'], refuse: [] });
    expect(admission.refused).toEqual(new Map([['waiting', 1]]));
  });

  it('refuses who has waited too long, and forgets who has left', () => {
    const admission = new Admission<string>({ ...limits, handshakesMax: 1 });
    expect(admission.arrive('slow', 0)).toBe('admit');
    expect([admission.arrive('b', 10), admission.arrive('c', 20)]).toEqual(['wait', 'wait']);
    admission.left('b');
    expect(admission.dueInMs(20)).toBe(1000);
    expect(admission.due(1020)).toEqual({ admit: [], refuse: ['c'] });
    expect(admission.refused).toEqual(new Map([['waited', 1]]));
    expect(admission.dueInMs(1020)).toBeUndefined();
    admission.handshakeEnded();
    expect(admission.arrive('d', 1020)).toBe('admit');
  });

  it('holds so many connections and no more', () => {
    const admission = new Admission<number>({ ...limits, handshakesBurst: 100, handshakesMax: 100 });
    const decisions = Array.from({ length: 21 }, (_, at) => admission.arrive(at, 0));
    expect(decisions.lastIndexOf('admit')).toBe(19);
    expect(decisions[20]).toBe('refuse');
    admission.closed();
    expect(admission.arrive(22, 0)).toBe('admit');
    expect(admission.refused).toEqual(new Map([['connections', 1]]));
  });

  it('keeps to its limits whatever happens', () => {
    const event = fc.record({
      what: fc.constantFrom('arrive', 'due', 'ended', 'closed', 'left'),
      laterMs: fc.nat({ max: 400 }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 200 }), (events) => {
        const admission = new Admission<number>(limits);
        let nowMs = 0;
        let admitted = 0;
        const handshakes: number[] = [];
        const open: number[] = [];
        const letIn = (connection: number) => {
          admitted++;
          handshakes.push(connection);
          open.push(connection);
        };
        for (const [at, { what, laterMs }] of events.entries()) {
          nowMs += laterMs;
          if (what === 'arrive' && admission.arrive(at, nowMs) === 'admit') letIn(at);
          if (what === 'due') for (const connection of admission.due(nowMs).admit) letIn(connection);
          if (what === 'ended' && handshakes.pop() !== undefined) admission.handshakeEnded();
          if (what === 'closed' && open.length > handshakes.length && open.pop() !== undefined) admission.closed();
          if (what === 'left') admission.left(at - 1);
          expect(admission.handshakes).toBe(handshakes.length);
          expect(admission.connections).toBe(open.length);
          expect(admission.handshakes).toBeLessThanOrEqual(limits.handshakesMax);
          expect(admission.connections + admission.waiting).toBeLessThanOrEqual(limits.connectionsMax);
          expect(admission.waiting).toBeLessThanOrEqual(limits.waitingMax);
          expect(admitted).toBeLessThanOrEqual(limits.handshakesBurst + (nowMs / 1000) * limits.handshakesPerSecond);
        }
      }),
      { seed: 30, numRuns: 300 },
    );
  });

  it('has a fleet of ten thousand back in two minutes that returns in one instant', () => {
    const DEVICES = 10_000;
    const rate = 200;
    const admission = new Admission<number>({
      handshakesPerSecond: rate,
      handshakesBurst: rate,
      handshakesMax: 1000,
      connectionsMax: DEVICES,
      waitingMax: rate * 10,
      waitMsMax: 10_000,
    });
    const random = seededRandom(30);
    const backoffs = Array.from({ length: DEVICES }, () => new Backoff(random));
    // Steps of 50 ms; a device tries again after its back-off, as agents do after a connection that was reset.
    const STEP_MS = 50;
    const tries = new Map<number, number[]>([[0, Array.from({ length: DEVICES }, (_, device) => device)]]);
    const backMs: number[] = [];
    const again = (device: number, nowMs: number) => {
      const at = Math.ceil((nowMs + backoffs[device]!.failed()) / STEP_MS) * STEP_MS;
      const others = tries.get(at);
      if (others === undefined) tries.set(at, [device]);
      else others.push(device);
    };
    const welcome = (nowMs: number) => {
      backMs.push(nowMs);
      admission.handshakeEnded();
    };
    for (let nowMs = 0; nowMs <= 120_000; nowMs += STEP_MS) {
      const { admit, refuse } = admission.due(nowMs);
      for (const _ of admit) welcome(nowMs);
      for (const device of refuse) again(device, nowMs);
      for (const device of tries.get(nowMs) ?? []) {
        const decision = admission.arrive(device, nowMs);
        if (decision === 'admit') welcome(nowMs);
        if (decision === 'refuse') again(device, nowMs);
      }
      tries.delete(nowMs);
    }
    expect(backMs.length).toBeGreaterThanOrEqual(0.95 * DEVICES);
    // Never more at once than the rate allows.
    const seconds = new Map<number, number>();
    for (const ms of backMs) seconds.set(Math.floor(ms / 1000), (seconds.get(Math.floor(ms / 1000)) ?? 0) + 1);
    expect(Math.max(...seconds.values())).toBeLessThanOrEqual(2 * rate);
  });
});
