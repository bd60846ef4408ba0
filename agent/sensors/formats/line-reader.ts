import { isUtf8 } from 'node:buffer';
import { CsvFormat } from './csv.js';
import { JsonFormat } from './json.js';
import { KeyValueFormat } from './key-value.js';
import type { LineDropReason } from './line-drop.js';
import type { LineFormat } from './line-format.js';
import type { LineStage } from './line-stage.js';
import { textFault } from './strict-text.js';

/** How a device writes its lines. */
export type LineFormatConfig =
  | { type: 'json' }
  | { type: 'csv'; separator: string; columns?: readonly string[] | undefined }
  | { type: 'key-value' };

/** Turns lines into rows. */
export class LineReader {
  readonly #format: LineFormat;
  readonly #stage: LineStage;

  constructor(config: LineFormatConfig, stage: LineStage) {
    this.#format = createFormat(config);
    this.#stage = stage;
  }

  /** Reads one line, without its end, into a row at `timeUs`. A reason says that the line was dropped as a whole. */
  read(line: Uint8Array, timeUs: number): LineDropReason | undefined {
    if (!isUtf8(line)) return 'not_utf8';
    const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
    const fault = textFault(text);
    if (fault !== undefined) return fault;
    this.#stage.begin();
    const outcome = this.#format.parse(text, this.#stage);
    if (outcome === 'header') return undefined;
    return outcome ?? this.#stage.commit(timeUs);
  }
}

function createFormat(config: LineFormatConfig): LineFormat {
  switch (config.type) {
    case 'json':
      return new JsonFormat();
    case 'csv':
      return new CsvFormat(config);
    case 'key-value':
      return new KeyValueFormat();
  }
}
