import { constants } from 'node:os';

const undoings = new Set<() => void>();
let isListening = false;

/**
 * Has `undo` called when this process ends, however it ends but by SIGKILL or a fatal signal that nobody handles; the latest
 * first. `undo` must do its work before it returns. Answers what takes that back.
 */
export function atExit(undo: () => void): () => void {
  if (!isListening) process.once('exit', undoAll);
  isListening = true;
  undoings.add(undo);
  return () => {
    undoings.delete(undo);
  };
}

function undoAll(): void {
  for (const undo of [...undoings].reverse()) {
    try {
      undo();
    } catch {
      // It is gone already, or cannot go; the others are to go all the same.
    }
  }
}

/** What ends a command from outside; a closed terminal too, since the processes of a rig would go on otherwise. */
export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A command that is told to end does so at once, and leaves nothing behind that is known to `atExit`. Signals of the next
 * `deafMs` milliseconds do nothing.
 */
export function endOnSignals(deafMs = 0): void {
  const fromMs = performance.now() + deafMs;
  for (const signal of END_SIGNALS) {
    process.on(signal, () => {
      if (performance.now() >= fromMs) process.exit(128 + constants.signals[signal]);
    });
  }
}
