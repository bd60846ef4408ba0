import type { LineDropReason } from './line-drop.js';
import type { LineStage } from './line-stage.js';

/** Reads the values of one line into the stage. */
export interface LineFormat {
  /**
   * `text` is a line without control characters. A reason means that the whole line is dropped; `header` that it was
   * understood and holds no values.
   */
  parse(text: string, stage: LineStage): LineDropReason | 'header' | undefined;
}
