import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import type { BufferIdentity } from './buffer.js';
import type { BufferCallName, BufferCalls, BufferReply, BufferRequest, BufferThreadOptions } from './buffer-calls.js';
import { BufferEngine } from './buffer-engine.js';
import { packItems, unpackBatches } from './packed-items.js';
import { threadWrites } from './thread-writes.js';

// The thread that has the buffer's file: it runs one call after another, and deletes what was acknowledged when nothing
// else has come for a while.

const port = parentPort!;
const { idleDeleteMs, ...options } = workerData as BufferThreadOptions;
/** Who makes a disk take writes again expects it to be used: as soon as a start that waits for it would. */
const STANDBY_LOOK_MS = 5_000;
/** Readings wait in the agent until what waits here is delivered. */
const LEAVING_LOOK_MS = 50;
/** A disk that has refused what was deferred is not asked again at once. */
const FLUSH_RETRY_MS = 1_000;

const before = threadWrites();
let engine: BufferEngine;
let told: BufferIdentity | undefined;
let idle: NodeJS.Timeout | undefined;
let standbyLook: NodeJS.Timeout | undefined;
let flush: { atMs: number; timer: NodeJS.Timeout } | undefined;

const handlers: { [Name in BufferCallName]: (argument: BufferCalls[Name][0]) => BufferCalls[Name][1] } = {
  append: ({ packed, notes }) => {
    clearTimeout(idle);
    return engine.append(unpackBatches(packed), notes);
  },
  read: ({ sequence, maxBytes, maxItems }) =>
    engine.run((core) => ({ packed: packItems(core.read(sequence, maxBytes, maxItems)), counts: core.status() })),
  acknowledge: ({ ranges, epoch }) => {
    if (!isCurrent(epoch)) return undefined;
    engine.run((core) => core.acknowledge(ranges));
    clearTimeout(idle);
    idle = setTimeout(deleteAcknowledged, idleDeleteMs);
    return undefined;
  },
  markInDoubt: ({ ranges, epoch }) => {
    if (isCurrent(epoch)) engine.run((core) => core.markInDoubt(ranges));
    return undefined;
  },
  stopSending: ({ ranges, epoch }) => {
    if (isCurrent(epoch)) engine.run((core) => core.stopSending(ranges));
    return undefined;
  },
  quarantine: ({ sequence, reason, detail, epoch }) => {
    if (isCurrent(epoch)) engine.run((core) => core.quarantine(sequence, reason, detail));
    return undefined;
  },
  lose: (losses) => void engine.run((core) => core.lose(losses)),
  declare: (entries) => void engine.run((core) => core.declare(entries)),
  addSeries: (series) => engine.run((core) => core.addSeries(series)),
  addSegment: (segment) => engine.run((core) => core.addSegment(segment)),
  addAnchor: (anchor) => engine.run((core) => core.addAnchor(anchor)),
  openEpoch: () => engine.openEpoch(),
  ruleNotes: () => engine.run((core) => core.ruleNotes()),
  storeAlerts: ({ alerts, intents }) => {
    // What was done must be known after a restart, or it is done again: memory is not enough.
    const stored = engine.runOnDisk((core) => core.storeAlerts(alerts, intents));
    return { ...stored, salvages: engine.salvages };
  },
  settleIntents: ({ outcomes, statuses }) => void engine.runOnDisk((core) => core.settleIntents(outcomes, statuses)),
  recallAlerts: () => ({ ...engine.run((core) => core.recallAlerts()), salvages: engine.salvages }),
  status: () => {
    const { callBytes, blockBytes } = threadWrites();
    return {
      ...engine.run((core) => core.status()),
      bytesWritten: callBytes - before.callBytes,
      blockBytesWritten: blockBytes - before.blockBytes,
    };
  },
  close: () => {
    clearTimeout(idle);
    engine.run((core) => core.endRun());
    return undefined;
  },
};

answer(() => {
  engine = new BufferEngine({ ...options, newEpoch: () => randomBytes(EPOCH_BYTES) });
  port.on('message', (request: BufferRequest) => {
    answer(() => (handlers[request.call] as (argument: unknown) => unknown)(request.argument));
    if (request.call === 'close') {
      clearTimeout(flush?.timer);
      clearTimeout(standbyLook);
      engine.close();
      port.close();
    } else {
      armFlush();
      armStandbyLook();
    }
  });
  return undefined;
});

/** Runs a call and posts its outcome. */
function answer(act: () => unknown): void {
  let reply: BufferReply;
  try {
    reply = { outcome: { value: act() } };
  } catch (thrown) {
    const { code, message } = TributaryError.from(thrown);
    reply = { outcome: { code, message } };
  }
  const identity = engine?.identity;
  if (identity !== undefined && identity !== told) reply.identity = told = identity;
  port.postMessage(reply, transferOf(reply));
}

function transferOf({ outcome }: BufferReply): ArrayBuffer[] {
  const value = 'value' in outcome ? outcome.value : undefined;
  const packed = (value as Partial<BufferCalls['read'][1]> | undefined)?.packed;
  return packed === undefined ? [] : [packed.bodies.buffer];
}

/** A range of another epoch says nothing about this one's sequences. */
function isCurrent(epoch: Uint8Array): boolean {
  return engine.run((core) => Buffer.compare(epoch, core.state.epoch) === 0);
}

function deleteAcknowledged(): void {
  onDisk(() => engine.run((core) => core.deleteAcknowledged()));
}

/** A timer that is early finds nothing to write and is armed again. */
function armFlush(): void {
  const atMs = engine.flushAtMs;
  if (atMs === undefined || (flush !== undefined && flush.atMs <= atMs)) return;
  clearTimeout(flush?.timer);
  const timer = setTimeout(
    () => {
      flush = undefined;
      if (onDisk(() => engine.flush())) armFlush();
      else flush = { atMs: 0, timer: setTimeout(retryFlush, FLUSH_RETRY_MS) };
    },
    Math.max(0, atMs - performance.now()),
  );
  flush = { atMs, timer };
}

/** While items wait in memory the disk is looked at now and then. */
function armStandbyLook(): void {
  if (!engine.isOnStandby || standbyLook !== undefined) return;
  standbyLook = setTimeout(
    () => {
      standbyLook = undefined;
      engine.leaveStandby();
      armStandbyLook();
    },
    engine.isLeavingStandby ? LEAVING_LOOK_MS : STANDBY_LOOK_MS,
  );
}

function retryFlush(): void {
  flush = undefined;
  armFlush();
}

/** Whether the disk took it. What it refuses comes again later; anything but a failing disk is a bug. */
function onDisk(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (!(error instanceof TributaryError)) throw error;
    return false;
  }
}
