/** Calls operations of the engine in order, wherever its connection is. */
export interface OperationChannel<O extends Record<keyof O, (...parameters: never[]) => unknown>> {
  /** Rejects with a StoreError when the store is away, full or broken. `transfer` is memory that may be taken over. */
  call<K extends keyof O & string>(
    operation: K,
    parameters: Parameters<O[K]>,
    transfer?: readonly ArrayBuffer[],
  ): Promise<ReturnType<O[K]>>;
  /** After everything that was asked before it. */
  close(): Promise<void>;
}
