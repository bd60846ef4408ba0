import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';
import { describe, expect, it } from 'vitest';
import { Standing } from '../buffer/alert-table.js';
import type { ActionPolicy } from './action.js';
import { ActionCore, type ActionEffect, WAITING_MAX } from './action-core.js';
import { RESOLVED } from './alert-state.js';
import { sampleAlert } from './sample-alert.js';

const startUs = 1_767_225_601_000_000;

const policy = (change: Partial<ActionPolicy> = {}): ActionPolicy => ({
  name: 'siren',
  kind: 'run',
  matches: () => true,
  takesRetracted: false,
  onCrash: 'skip',
  maxAgeMs: 300_000,
  rate: undefined,
  concurrentMax: 1,
  ...change,
});

/** A core with a clock, and what it has asked for. */
class World {
  readonly core: ActionCore;
  readonly begun: number[] = [];
  readonly settled: string[] = [];
  ms = 1000;
  #tickets = 0;

  constructor(...policies: ActionPolicy[]) {
    this.core = new ActionCore(policies);
  }

  get now() {
    return { ms: this.ms, wallUs: startUs + (this.ms - 1000) * 1000 };
  }

  /** Plans and stores an alert, as the desk does; answers the tickets. */
  take(alert: Alert): number[] {
    const plans = this.core.plan(alert, this.now);
    const tickets = plans.filter(({ skip }) => skip === undefined).map(() => ++this.#tickets);
    this.#run(this.core.step({ type: 'stored', alert, plans, tickets }, this.now));
    return tickets;
  }

  recall(action: string, standing: 0 | 1, alert: Alert | undefined): void {
    const intents = [{ ticket: ++this.#tickets, action, standing, alert }];
    this.#run(this.core.step({ type: 'recalled', intents }, this.now));
  }

  end(ticket: number, outcome: 'done' | 'failed' = 'done', reason = ''): void {
    this.#run(this.core.step({ type: 'ended', ticket, outcome, reason }, this.now));
  }

  pass(ms: number): void {
    this.ms += ms;
    this.#run(this.core.step({ type: 'tick' }, this.now));
  }

  stop(): void {
    this.#run(this.core.step({ type: 'stop' }, this.now));
  }

  #run(effects: ActionEffect[]): void {
    const names = Object.keys(Standing) as (keyof typeof Standing)[];
    for (const effect of effects) {
      if (effect.type === 'begin') this.begun.push(effect.task.ticket);
      else {
        const standing = names.find((name) => Standing[name] === effect.standing);
        this.settled.push(`${effect.ticket ?? '-'} ${effect.action} ${standing} ${effect.reason}`.trimEnd());
      }
    }
  }
}

describe('what is done about alerts', () => {
  it('goes one after the other, in the order of the alerts', () => {
    const world = new World(policy());
    world.take(sampleAlert(1));
    world.take(sampleAlert(2));
    world.take(sampleAlert(1, { state: RESOLVED }));
    expect(world.begun).toEqual([1]);
    world.end(1);
    expect(world.begun).toEqual([1, 2]);
    world.end(2, 'failed', 'exit-1');
    expect(world.begun).toEqual([1, 2, 3]);
    expect(world.settled).toEqual(['1 siren done', '2 siren failed exit-1']);
    expect(world.core.report()).toMatchObject([
      { done: 1, failed: 1, failures: { 'exit-1': 1 }, waiting: 0, running: 1 },
    ]);
  });

  it('goes several at a time where that is configured, but never two about one incident', () => {
    const world = new World(policy({ concurrentMax: 3 }));
    world.take(sampleAlert(1));
    world.take(sampleAlert(2));
    world.take(sampleAlert(1, { state: RESOLVED }));
    world.take(sampleAlert(3));
    // Nobody overtakes the one that waits for its incident.
    expect(world.begun).toEqual([1, 2]);
    world.end(1);
    expect(world.begun).toEqual([1, 2, 3, 4]);
  });

  it('is not held up by another action that hangs', () => {
    const world = new World(policy(), policy({ name: 'fan' }));
    world.take(sampleAlert(1));
    world.take(sampleAlert(2));
    expect(world.begun).toEqual([1, 2]);
    world.end(2);
    expect(world.begun).toEqual([1, 2, 4]);
  });

  it('is only what matches, and only firing and resolved', () => {
    const world = new World(policy({ matches: ({ rule }) => rule === 'other' }));
    world.take(sampleAlert(1));
    world.take(sampleAlert(1, { rule: 'other', state: 1 }));
    world.take(sampleAlert(1, { rule: 'other', state: 4 }));
    expect(world.begun).toEqual([]);
    world.take(sampleAlert(1, { rule: 'other' }));
    expect(world.begun).toEqual([1]);
  });

  it.each([
    ['late', { late: true }],
    ['retracted', { state: RESOLVED, retracted: true }],
    ['retracted', { state: RESOLVED, retracted: true, late: true }],
    ['old', { transitionAtUs: startUs - 300_000_001 }],
  ])('is nothing when the alert is %s', (reason, change) => {
    const world = new World(policy());
    expect(world.take(sampleAlert(1, change))).toEqual([]);
    expect(world.begun).toEqual([]);
    expect(world.settled).toEqual([`- siren skipped ${reason}`]);
    expect(world.core.report()[0].skipped).toEqual({ [reason]: 1 });
  });

  it('is done about what was told and is found never to have been where that is asked for, but not about late news of it', () => {
    const world = new World(policy({ takesRetracted: true }));
    world.take(sampleAlert(1, { state: RESOLVED, retracted: true }));
    world.take(sampleAlert(2, { state: RESOLVED, retracted: true, late: true }));
    expect(world.begun).toEqual([1]);
    expect(world.settled).toEqual(['- siren skipped retracted']);
  });

  it('is done about an alert just young enough, and about one that a clock puts into the future', () => {
    const world = new World(policy());
    world.take(sampleAlert(1, { transitionAtUs: startUs - 300_000_000 }));
    world.end(1);
    world.take(sampleAlert(2, { transitionAtUs: startUs + 1e12 }));
    expect(world.begun).toEqual([1, 2]);
  });

  it('is nothing when it has waited until it is too old', () => {
    const world = new World(policy({ maxAgeMs: 5000 }));
    world.take(sampleAlert(1));
    world.take(sampleAlert(2));
    world.ms += 5001;
    world.end(1);
    expect(world.settled).toEqual(['1 siren done', '2 siren skipped old']);
    expect(world.begun).toEqual([1]);
  });

  it('is nothing when it was before the time that the buffer remembers', () => {
    const world = new World(policy());
    world.pass(10_000);
    world.core.forgetBefore(world.ms);
    world.take(sampleAlert(1, { transitionAtUs: startUs + 9_999_999 }));
    world.pass(60_000);
    world.take(sampleAlert(2, { transitionAtUs: startUs + 9_999_999 }));
    world.take(sampleAlert(3, { transitionAtUs: startUs + 10_000_000 }));
    expect(world.settled).toEqual(['- siren skipped unsure', '- siren skipped unsure']);
    expect(world.begun).toEqual([1]);
  });

  it('waits for the rate limit, in order, and counts what had to', () => {
    const world = new World(policy({ rate: { count: 2, perMs: 10_000 }, concurrentMax: 4 }));
    for (let incident = 1; incident <= 4; incident++) world.take(sampleAlert(incident));
    expect(world.begun).toEqual([1, 2]);
    expect(world.core.wakeAtMs).toBeCloseTo(6000);
    world.end(1);
    world.end(2);
    expect(world.begun).toEqual([1, 2]);
    world.pass(5000);
    expect(world.begun).toEqual([1, 2, 3]);
    world.end(3);
    world.pass(5000);
    world.end(4);
    expect(world.begun).toEqual([1, 2, 3, 4]);
    expect(world.core.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
    expect(world.core.report()).toMatchObject([{ held: 2, done: 4, waiting: 0 }]);
  });

  it('lets the oldest go when too many wait', () => {
    const world = new World(policy());
    for (let incident = 0; incident <= WAITING_MAX + 2; incident++) world.take(sampleAlert(incident));
    expect(world.settled).toEqual(['2 siren skipped full', '3 siren skipped full']);
    expect(world.core.report()).toMatchObject([{ waiting: WAITING_MAX, running: 1 }]);
  });

  it('is left for the next start when the agent stops, but for what is under way', () => {
    const world = new World(policy());
    world.take(sampleAlert(1));
    world.take(sampleAlert(2));
    world.stop();
    expect(world.settled).toEqual(['2 siren kept stopped']);
    expect(world.core.isIdle).toBe(false);
    expect(world.core.standing).toBe(Standing.kept);
    world.take(sampleAlert(3));
    world.end(1);
    expect(world.begun).toEqual([1]);
    expect(world.settled).toEqual(['2 siren kept stopped', '1 siren done']);
    expect(world.core.isIdle).toBe(true);
  });
});

describe('what an earlier start has left', () => {
  it.each([
    ['skip', Standing.open, [], ['1 siren skipped crash']],
    ['skip', Standing.kept, [1], []],
    ['repeat', Standing.open, [1], []],
    ['repeat', Standing.kept, [1], []],
  ] as const)('with onCrash: %s, standing %i, begins %j', (onCrash, standing, begun, settled) => {
    const world = new World(policy({ onCrash }));
    world.recall('siren', standing, sampleAlert(1));
    expect(world.begun).toEqual(begun);
    expect(world.settled).toEqual(settled);
  });

  it('is nothing when it is too old, cannot be read, or is configured no more', () => {
    const world = new World(policy({ onCrash: 'repeat' }));
    world.pass(400_000);
    world.recall('siren', Standing.open, sampleAlert(1));
    world.recall('siren', Standing.open, undefined);
    world.recall('fan', Standing.kept, sampleAlert(1));
    expect(world.begun).toEqual([]);
    expect(world.settled).toEqual(['1 siren skipped old', '2 siren skipped unreadable', '3 fan skipped changed']);
  });
});

describe('a status', () => {
  const heat = policy({ kind: 'status', onCrash: 'repeat', maxAgeMs: Number.POSITIVE_INFINITY });

  it('follows however old the transition is, and is never left undone by a crash', () => {
    const world = new World(heat);
    world.core.forgetBefore(world.ms);
    world.take(sampleAlert(1, { transitionAtUs: 0 }));
    world.end(1);
    world.recall('siren', Standing.open, sampleAlert(2));
    expect(world.begun).toEqual([1, 2]);
  });

  it('takes back what turns out to be none, and shows nothing that came late', () => {
    const world = new World(heat);
    world.take(sampleAlert(1, { late: true }));
    expect(world.settled).toEqual(['- siren skipped late']);
    world.take(sampleAlert(1, { late: true, retracted: true, state: RESOLVED }));
    expect(world.begun).toEqual([1]);
  });
});
