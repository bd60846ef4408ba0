import type { Chance } from './chance.js';
import type { Faults } from './faults.js';
import type { SimAgent } from './sim-agent.js';
import type { SimCollector } from './sim-collector.js';

/** From a cell handover to a router that somebody has to restart. */
const OUTAGE_MS_MIN = 300;
const OUTAGE_MS_MAX = 240_000;

/** The delays of a healthy network, one way. */
export const HEALTHY_MS = { min: 1, max: 30 };

/** How long an outage lasts. */
export function lasts(chance: Chance): number {
  return chance.magnitude(OUTAGE_MS_MIN, OUTAGE_MS_MAX);
}

/** Does a fault, and says what it was; undefined when there was nothing that it could be done to. */
export type FaultKind = (faults: Faults, chance: Chance) => string | undefined;

/** All kinds; a plan names them by their keys. The first is in every seed. */
export const FAULTS: Readonly<Record<string, FaultKind>> = {
  'network down': (faults, chance) => {
    const { network } = faults.victims;
    if (network.isDown) return undefined;
    faults.outages++;
    network.isDown = true;
    network.cut(chance.is(0.5));
    faults.after(lasts(chance), () => {
      faults.trace('the network is back');
      network.isDown = false;
    });
    return 'the network is down';
  },
  'device cut off': (faults, chance) => {
    const { network } = faults.victims;
    const { name } = anAgent(faults, chance);
    if (network.cutOff.has(name)) return undefined;
    faults.outages++;
    network.cutOff.add(name);
    network.cut(chance.is(0.5), name);
    faults.after(lasts(chance), () => network.cutOff.delete(name));
    return `${name} is cut off`;
  },
  'collector killed': (faults, chance) =>
    withCollector(faults, chance, (collector) => {
      collector.crash('killed');
      return `${collector.name} is killed`;
    }),
  'collector stops': (faults, chance) =>
    withCollector(faults, chance, (collector) => {
      collector.stop();
      return `${collector.name} is stopped in order`;
    }),
  'rolling restart': (faults, chance) => {
    const { collectors } = faults.victims;
    for (const [at, collector] of collectors.entries()) {
      faults.after(at * chance.between(500, 10_000), () => collector.stop());
    }
    return 'the collectors are restarted in turn';
  },
  'collector crashes in a commit': (faults, chance) =>
    withCollector(faults, chance, (collector) => {
      collector.stepsToCrash = chance.whole(1, 12);
      return `${collector.name} will crash in a commit`;
    }),
  'collector frozen': (faults, chance) =>
    withCollector(faults, chance, (collector) => {
      collector.freeze(chance.magnitude(500, 120_000));
      return `${collector.name} is frozen`;
    }),
  'connections cut': (faults, chance) => {
    faults.victims.network.cut(chance.is(0.5), chance.is(0.5) ? anAgent(faults, chance).name : undefined);
    return 'connections are cut';
  },
  'answers lost': (faults, chance) => {
    faults.victims.network.answersToLose = chance.whole(1, 6);
    return 'the next answers are lost';
  },
  stall: (faults, chance) => {
    const { world, network } = faults.victims;
    network.stalledUntilMs = world.nowMs + chance.magnitude(100, 60_000);
    return 'the network stalls';
  },
  slow: (faults, chance) => {
    const { network, collectors } = faults.victims;
    network.delayMs = { min: 100, max: chance.magnitude(200, 8000) };
    const commitMs = { min: 10, max: chance.magnitude(20, 40_000) };
    for (const collector of collectors) collector.commitMs = commitMs;
    faults.after(lasts(chance), () => {
      network.delayMs = HEALTHY_MS;
      for (const collector of collectors) collector.commitMs = undefined;
    });
    return 'network and store are slow';
  },
  /** The devices come back before what they sent is committed, and send it again: only the store can tell. */
  'commit outlives connections': (faults, chance) => {
    const { network, collectors } = faults.victims;
    for (const collector of collectors) collector.commitMs = { min: 8000, max: 24_000 };
    faults.after(chance.between(500, 4000), () => network.cut(false));
    faults.after(30_000, () => {
      for (const collector of collectors) collector.commitMs = undefined;
    });
    return 'commits outlive their connections';
  },
  'store fails': (faults, chance) => {
    const { collectors } = faults.victims;
    const fault = chance.pick(['full', 'io'] as const);
    for (const collector of collectors) collector.storeFault = fault;
    faults.after(chance.magnitude(10, 60_000), () => {
      for (const collector of collectors) collector.storeFault = undefined;
    });
    return `the store is ${fault}`;
  },
  'agent killed': (faults, chance) => {
    const agent = anAgent(faults, chance);
    agent.crash('killed');
    return `${agent.name} is killed`;
  },
  'power cut during a write': (faults, chance) => {
    const { name, table } = anAgent(faults, chance);
    if (chance.is(0.5)) table.faults.writesToPowerCut = chance.whole(1, 10);
    else table.faults.isPowerCutAfterCommit = true;
    return `${name} loses power with a write`;
  },
  /** A bit of a stored row flips, as cheap flash does it. */
  'disk damage': (faults, chance) => {
    const { name, table } = anAgent(faults, chance);
    const headers = table.headersNow();
    if (headers.length === 0) return undefined;
    const { sequence } = chance.pick(headers);
    table.damage(sequence, ({ body }) => {
      body[chance.whole(0, body.length - 1)] ^= 1 << chance.whole(0, 7);
    });
    return `a bit of ${name}'s item ${sequence} flips`;
  },
  /** The end of the buffer's log is lost; what was in it may have gone up. */
  'log cut off': (faults, chance) => {
    const agent = anAgent(faults, chance);
    agent.loseTail(chance.whole(0, 8));
    return `${agent.name} has lost the end of its log`;
  },
  'disk refuses calls': (faults, chance) => {
    const { name, table } = anAgent(faults, chance);
    table.faults.callsToFailure = chance.whole(1, 20);
    table.faults.failures = Math.round(chance.magnitude(1, 40));
    return `${name}'s disk refuses ${table.faults.failures} calls`;
  },
  'commit unconfirmed': (faults, chance) => {
    const { name, table } = anAgent(faults, chance);
    table.faults.isCommitUnconfirmed = true;
    return `${name}'s next commit fails, and is there`;
  },
  'disk full': (faults, chance) => {
    const { name, table } = anAgent(faults, chance);
    table.faults.bytesMax = table.state()?.bytesStored ?? 0;
    faults.after(lasts(chance), () => {
      table.faults.bytesMax = Number.POSITIVE_INFINITY;
    });
    return `${name}'s disk is full`;
  },
  'image restored': (faults, chance) => {
    const agent = anAgent(faults, chance);
    const image = agent.image();
    faults.after(chance.magnitude(1000, 900_000), () => {
      agent.restore(image);
      faults.trace(`an image is put back into ${agent.name}`);
    });
    return `an image of ${agent.name}'s disk is taken`;
  },
  'card cloned': (faults, chance) => {
    const clone = faults.victims.clone(anAgent(faults, chance));
    if (clone === undefined) return undefined;
    faults.after(chance.magnitude(100, 100_000), () => clone.start());
    return `${clone.name} gets a copy of a card`;
  },
};

function anAgent(faults: Faults, chance: Chance): SimAgent {
  return chance.pick(faults.victims.agents);
}

function withCollector(faults: Faults, chance: Chance, act: (collector: SimCollector) => string): string | undefined {
  const collector = chance.pick(faults.victims.collectors);
  return collector.isUp ? act(collector) : undefined;
}
