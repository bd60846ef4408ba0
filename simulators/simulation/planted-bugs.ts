import { BufferCore } from '@tributary/agent/buffer/buffer-core';
import { ChunkTable } from '@tributary/collector/store/sqlite/chunk-table';
import {
  type AlertRecord,
  type DeviceCommit,
  type DeviceCommitOutcome,
  ItemOutcome,
  type Store,
} from '@tributary/collector/store/store';
import { AlertState } from '@tributary/proto/gen/tributary/v1/alert';
import type { SequenceRange } from '@tributary/proto/gen/tributary/v1/series';
import type { RunOptions } from './run-seed.js';
import type { MemoryStore, SimStore } from './sim-store.js';
import type { World } from './world.js';

/** How long the hasty store keeps what it has called durable in memory. */
const WRITE_BEHIND_MS = 3000;

/** Says that items are durable, and commits them a while later: a crash in between loses them. */
function acknowledgesBeforeCommit(store: MemoryStore, world: World): SimStore {
  let position = 1_000_000;
  const waiting = new Set<() => void>();
  return {
    register: (registration) => store.register(registration),
    commit: (devices, nowUs) => {
      const copies = devices.map((part): DeviceCommit => ({ ...part, items: [...part.items] }));
      const cancel = world.schedule(WRITE_BEHIND_MS, () => {
        waiting.delete(cancel);
        store.commit(copies, nowUs);
      });
      waiting.add(cancel);
      return devices.map(({ items }): DeviceCommitOutcome => {
        return {
          outcome: 'committed',
          items: new Uint8Array(items.length).fill(ItemOutcome.Stored),
          position: position++,
        };
      });
    },
    crashed: () => {
      for (const cancel of waiting) cancel();
      waiting.clear();
      store.crashed();
    },
  };
}

/** Stores what it has already, once more. */
function hasNoDuplicateFilter(store: MemoryStore): SimStore {
  const chunks = new ChunkTable(store.db);
  return {
    register: (registration) => store.register(registration),
    commit: (devices, nowUs) =>
      store.commit(devices, nowUs).map((outcome, at) => {
        if (outcome.outcome !== 'committed') return outcome;
        const { deviceId, epochId, items } = devices[at];
        const again = items.filter((_, index) => outcome.items[index] === ItemOutcome.Duplicate);
        chunks.insertItems(deviceId, epochId, outcome.position, again);
        return { ...outcome, items: new Uint8Array(items.length).fill(ItemOutcome.Stored) };
      }),
    crashed: () => store.crashed(),
  };
}

/** Deletes what was sent, not what was acknowledged. */
class HastyBuffer extends BufferCore {
  override markInDoubt(ranges: readonly SequenceRange[]): void {
    super.markInDoubt(ranges);
    super.acknowledge(ranges);
    super.deleteAcknowledged();
  }
}

/** Takes a fork for a duplicate: what a copy of the buffer has sent is acknowledged with the other's bytes. */
function acknowledgesForks(store: MemoryStore): SimStore {
  return {
    register: (registration) => store.register(registration),
    commit: (devices, nowUs) =>
      store.commit(devices, nowUs).map((outcome) => {
        if (outcome.outcome !== 'committed') return outcome;
        const items = outcome.items.map((each) => (each === ItemOutcome.Fork ? ItemOutcome.Duplicate : each));
        return { ...outcome, items };
      }),
    crashed: () => store.crashed(),
  };
}

/** Forgets what it has sent as soon as it needs room, and thins it. */
class ForgetfulBuffer extends BufferCore {
  override append(...append: Parameters<BufferCore['append']>): ReturnType<BufferCore['append']> {
    super.stopSending([]);
    super.markInDoubt([]);
    return super.append(...append);
  }
}

/** Small enough to be full in most outages, with all that is in it in one window. */
const FULL_QUOTA_BYTES = 2048;
const THINNING_WINDOW_MS = 3_600_000;

/** A store of which some methods do something else. */
function instead(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const method = Reflect.get(methods, name) ?? Reflect.get(target, name, target);
      return typeof method === 'function' ? method.bind(target) : method;
    },
  });
}

/** Tells the device of history as if it were now. */
function tellsHistory(store: Store): Store {
  const asNow = (record: AlertRecord): AlertRecord => {
    const { state, late } = record.alert;
    if (!late || state !== AlertState.FIRING || record.exact !== undefined) return record;
    return { ...record, alert: { ...record.alert, late: false } };
  };
  return instead(store, { appendAlerts: (records, nowUs) => store.appendAlerts(records.map(asNow), nowUs) });
}

/** A start that takes up how far series have come, and forgets what fires. */
function forgetsIncidents(store: Store): Store {
  return instead(store, {
    loadRuleStates: async (filter) =>
      (await store.loadRuleStates(filter)).map((row) => (row.rule === '' ? row : { ...row, state: '' })),
  });
}

/** Keeps to itself what history shows. */
function missesHistory(store: Store): Store {
  return instead(store, {
    appendAlerts: (records, nowUs) => {
      return store.appendAlerts(
        records.filter(({ alert }) => !alert.late),
        nowUs,
      );
    },
  });
}

export interface PlantedBug {
  what: string;
  options: RunOptions;
  /** Nothing shows it but the comparison at the end. */
  isSeenAtEnd?: boolean;
}

/** Mistakes that a simulation must find, or it finds nothing. They are wrapped around the real parts. */
export const PLANTED_BUGS: Readonly<Record<string, PlantedBug>> = {
  'acknowledge-before-commit': {
    what: 'a collector that acknowledges before its commit',
    options: { wrapStore: acknowledgesBeforeCommit },
  },
  'no-duplicate-filter': {
    what: 'a store without a duplicate filter',
    options: { wrapStore: hasNoDuplicateFilter },
  },
  'delete-before-acknowledge': {
    what: 'an agent that deletes before the acknowledgement',
    options: { openBuffer: (table, quotaBytes, newEpoch) => new HastyBuffer(table, quotaBytes, newEpoch) },
  },
  'acknowledge-fork': {
    what: 'a collector that acknowledges a fork',
    options: { wrapStore: acknowledgesForks },
  },
  'thin-in-doubt': {
    what: 'an agent that thins what is in doubt',
    options: {
      openBuffer: (table, quotaBytes, newEpoch) =>
        new ForgetfulBuffer(table, Math.min(quotaBytes, FULL_QUOTA_BYTES), newEpoch, THINNING_WINDOW_MS),
    },
  },
  'tell-history-as-now': {
    what: 'rules that tell of history as if it were now',
    options: { areRulesEvaluated: true, wrapRulesStore: tellsHistory },
    isSeenAtEnd: true,
  },
  'forget-incidents': {
    what: 'rules that forget at a start what fires',
    options: { areRulesEvaluated: true, wrapRulesStore: forgetsIncidents },
    isSeenAtEnd: true,
  },
  'miss-history': {
    what: 'rules that keep to themselves what history shows',
    options: { areRulesEvaluated: true, wrapRulesStore: missesHistory },
    isSeenAtEnd: true,
  },
};
