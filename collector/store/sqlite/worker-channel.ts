import { Worker } from 'node:worker_threads';
import { StoreError, type StoreErrorCode } from '../store-error.js';
import type { OperationChannel } from './operation-channel.js';

export interface WorkerOptions {
  path: string;
  role: 'writer' | 'reader';
  bytesMax?: number;
}

export interface WorkerRequest {
  id: number;
  operation: string;
  parameters: readonly unknown[];
}

export interface WorkerReply {
  id: number;
  value?: unknown;
  error?: { code: StoreErrorCode; message: string };
  /** Not an expected failure: thrown on as it is. */
  bug?: unknown;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Calls operations in a store thread, in order. */
export class WorkerChannel<O extends Record<keyof O, (...parameters: never[]) => unknown>>
  implements OperationChannel<O>
{
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #id = 0;
  #ended: StoreError | undefined;
  readonly #onEnd: (reason: StoreError) => void;

  /** `onEnd` is called when the thread ends without being told to; nothing brings it back. */
  constructor(options: WorkerOptions, onEnd: (reason: StoreError) => void) {
    this.#onEnd = onEnd;
    this.#worker = new Worker(new URL('./store-worker.js', import.meta.url), { workerData: options });
    this.#worker.on('message', (reply: WorkerReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail('the thread of the store failed', error));
    this.#worker.on('exit', () => this.#fail('the thread of the store has ended'));
  }

  call<K extends keyof O & string>(
    operation: K,
    parameters: Parameters<O[K]>,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<O[K]>> {
    return this.#send(operation, parameters, transfer) as Promise<ReturnType<O[K]>>;
  }

  async open(): Promise<void> {
    await this.#send('open', [], []);
  }

  /** After everything that was asked before it. Rejects when the disk fails at it; the thread has ended all the same. */
  async close(): Promise<void> {
    try {
      // A thread that has ended needs no closing.
      if (this.#ended === undefined) await this.#send('close', [], []);
    } finally {
      this.#end(new StoreError('closed', 'the store is closed'));
      await this.#worker.terminate();
    }
  }

  #send(operation: string, parameters: readonly unknown[], transfer: readonly ArrayBuffer[]): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, operation, parameters } satisfies WorkerRequest, transfer);
    });
  }

  #settle(reply: WorkerReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.error !== undefined) waiting?.reject(new StoreError(reply.error.code, reply.error.message));
    else if (reply.bug !== undefined) waiting?.reject(reply.bug);
    else waiting?.resolve(reply.value);
  }

  #fail(message: string, cause?: unknown): void {
    if (this.#ended !== undefined) return;
    const reason = new StoreError('closed', message, { cause });
    this.#end(reason);
    this.#onEnd(reason);
  }

  #end(reason: StoreError): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
