import { isNativeError } from 'node:util/types';
import { parentPort, workerData } from 'node:worker_threads';
import type Database from 'better-sqlite3';
import { readerOperations, writerOperations } from './engine.js';
import { lockStore, openReader, openWriter } from './schema.js';
import { toStoreError } from './sqlite-errors.js';
import type { WorkerOptions, WorkerReply, WorkerRequest } from './worker-channel.js';

/*
 * The thread that owns a connection. Requests come one after another, and each is answered. After a fault of the disk the connection is not used again, because nobody can say what of the
 * failed write is there: the next request opens the file anew, and recovery decides.
 */

type Operations = Record<string, (...parameters: never[]) => unknown>;

interface Open {
  db: Database.Database;
  operations: Operations;
}

const options = workerData as WorkerOptions;
const port = parentPort;
if (port === null) throw new Error('store-worker runs in a worker thread');

const lock = options.role === 'writer' ? attempt(() => lockStore(options.path)) : undefined;
let current: Open | undefined;

function attempt<T>(open: () => T): T | Error {
  try {
    return open();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function opened(): Open {
  if (lock instanceof Error) throw lock;
  if (current === undefined) {
    const db = options.role === 'writer' ? openWriter(options.path) : openReader(options.path);
    const operations = options.role === 'writer' ? writerOperations(db, options.bytesMax) : readerOperations(db);
    current = { db, operations: operations as unknown as Operations };
  }
  return current;
}

function close(): void {
  const { db } = current ?? {};
  current = undefined;
  db?.close();
}

function answer(request: WorkerRequest): WorkerReply {
  try {
    if (request.operation === 'open') {
      opened();
      return { id: request.id, value: undefined };
    }
    if (request.operation === 'close') {
      close();
      if (lock !== undefined && !(lock instanceof Error)) lock.close();
      return { id: request.id, value: undefined };
    }
    const { operations } = opened();
    return { id: request.id, value: operations[request.operation](...(request.parameters as never[])) };
  } catch (error) {
    const known = toStoreError(error);
    if (known === undefined) return { id: request.id, bug: asNativeError(error) };
    if (known.code === 'io' || known.code === 'corrupt') {
      try {
        close();
      } catch {
        // The disk has failed already; that it also fails to close changes nothing.
      }
    }
    return { id: request.id, error: { code: known.code, message: known.message } };
  }
}

/** SQLite's errors are no errors to a structured clone, which would leave their message and stack behind. */
function asNativeError(thrown: unknown): unknown {
  if (isNativeError(thrown)) return thrown;
  const { code, message, stack } = thrown as Partial<Record<string, unknown>>;
  if (typeof message !== 'string') return thrown;
  const native = new Error(typeof code === 'string' ? `${code}: ${message}` : message);
  if (typeof stack === 'string') native.stack = stack;
  return native;
}

port.on('message', (request: WorkerRequest) => {
  const reply = answer(request);
  port.postMessage(reply, transferable(reply));
  if (request.operation === 'close') port.close();
});

/** Buffers of an answer that move instead of being copied. */
function transferable(reply: WorkerReply): ArrayBuffer[] {
  const { value } = reply;
  const buffers: ArrayBuffer[] = [];
  const take = (candidate: unknown) => {
    if (ArrayBuffer.isView(candidate) && !Buffer.isBuffer(candidate)) buffers.push(candidate.buffer as ArrayBuffer);
  };
  take(value);
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    for (const part of Object.values(value)) take(part);
    if ('chunks' in value && Array.isArray(value.chunks)) for (const { body } of value.chunks) take(body);
  }
  return buffers;
}
