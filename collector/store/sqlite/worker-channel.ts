import { Worker } from 'node:worker_threads';
import { StoreError, type StoreErrorCode } from '../store-error.js';

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
export class WorkerChannel<O extends Record<keyof O, (...parameters: never[]) => unknown>> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #id = 0;
  #ended: StoreError | undefined;

  constructor(options: WorkerOptions) {
    this.#worker = new Worker(new URL('./store-worker.js', import.meta.url), { workerData: options });
    this.#worker.on('message', (reply: WorkerReply) => this.#settle(reply));
    this.#worker.on('error', (error) =>
      this.#end(new StoreError('closed', 'the thread of the store failed', { cause: error })),
    );
    this.#worker.on('exit', () => this.#end(new StoreError('closed', 'the store is closed')));
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

  /** After everything that was asked before it. */
  async close(): Promise<void> {
    await this.#send('close', [], []);
    this.#end(new StoreError('closed', 'the store is closed'));
    await this.#worker.terminate();
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

  #end(reason: StoreError): void {
    this.#ended ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#ended);
    this.#waiting.clear();
  }
}
