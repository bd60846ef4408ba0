import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import type { BufferIdentity } from './buffer.js';
import type { BufferCallName, BufferCalls, BufferReply, BufferRequest, BufferThreadOptions } from './buffer-calls.js';
import { BufferEngine } from './buffer-engine.js';
import { packItems, unpackBatches } from './packed-items.js';

// The thread that has the buffer's file: it runs one call after another, and deletes what was acknowledged when nothing
// else has come for a while.

const port = parentPort!;
const { path, quotaBytes, idleDeleteMs } = workerData as BufferThreadOptions;

const bytesBefore = bytesWrittenByThread();
let engine: BufferEngine;
let told: BufferIdentity | undefined;
let idle: NodeJS.Timeout | undefined;

const handlers: { [Name in BufferCallName]: (argument: BufferCalls[Name][0]) => BufferCalls[Name][1] } = {
  append: ({ packed, line }) => {
    clearTimeout(idle);
    return engine.append(unpackBatches(packed), line);
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
  storeAlerts: (alerts) => engine.run((core) => core.storeAlerts(alerts)),
  status: () => ({ ...engine.run((core) => core.status()), bytesWritten: bytesWrittenByThread() - bytesBefore }),
  close: () => {
    clearTimeout(idle);
    engine.run((core) => core.deleteAcknowledged());
    return undefined;
  },
};

answer(() => {
  engine = new BufferEngine({ path, quotaBytes, newEpoch: () => randomBytes(EPOCH_BYTES) });
  port.on('message', (request: BufferRequest) => {
    answer(() => (handlers[request.call] as (argument: unknown) => unknown)(request.argument));
    if (request.call === 'close') {
      engine.close();
      port.close();
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
  try {
    engine.run((core) => core.deleteAcknowledged());
  } catch (error) {
    // The rows go with the next append. Anything but a failing disk is a bug.
    if (!(error instanceof TributaryError)) throw error;
  }
}

/**
 * Bytes that this thread has given to write calls, as Linux counts them (proc(5), `wchar`): the database, its log and
 * nothing else but a few bytes a message. Whole pages of the file system are more. 0 where there is no such file.
 */
function bytesWrittenByThread(): number {
  try {
    return Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/thread-self/io', 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
