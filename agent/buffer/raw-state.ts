import type { BufferState } from './item-table.js';
import type { RawPages } from './raw-pages.js';
import { rowsOfPage } from './raw-rows.js';
import { stateOfRow } from './sqlite-item-table.js';

/** The row of counters lies on one of the first pages: its table is made with the file, or moved when that is small. */
const PAGES_SEARCHED = 4_096;

/** The newest counters in the log that pass their checksum, and the frame that they are in. */
export function stateInLog(
  pages: RawPages,
  from: number,
  to: number,
): { state: BufferState; frame: number } | undefined {
  const frames = pages.log?.frames ?? [];
  for (let at = Math.min(to, frames.length) - 1; at >= from; at--) {
    const state = stateOn(frames[at].image, frames[at].page);
    if (state !== undefined) return { state, frame: at };
  }
  return undefined;
}

/** The counters as the last checkpoint left them, without the log. */
export function stateInFile(pages: RawPages): BufferState | undefined {
  for (let page = 1; page <= Math.min(pages.pages, PAGES_SEARCHED); page++) {
    const image = pages.pageOfFile(page);
    const state = image === undefined ? undefined : stateOn(image, page);
    if (state !== undefined) return state;
  }
  return undefined;
}

function stateOn(image: Buffer, page: number): BufferState | undefined {
  // The row is shorter than a page.
  for (const { values } of rowsOfPage(image, page, () => undefined)) {
    const state = stateOfRow(values);
    if (state !== undefined) return state;
  }
  return undefined;
}

export function isSameEpoch(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
