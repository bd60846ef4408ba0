import type { LineDropReason } from './line-drop.js';
import type { LineFormat } from './line-format.js';
import type { LineStage } from './line-stage.js';
import { isFieldName } from './strict-text.js';

const separators = /[ \t,;]+/;

/**
 * `t=21.5 h=40 door=true`: pairs parted by blanks, commas or semicolons, in any number, no blanks around the equals sign.
 * `t=1,5` is therefore a pair and a stray `5`, and is dropped as malformed. A unit behind a number is not guessed at.
 */
export class KeyValueFormat implements LineFormat {
  parse(text: string, stage: LineStage): LineDropReason | undefined {
    for (const pair of text.split(separators)) {
      if (pair === '') continue;
      const equalsAt = pair.indexOf('=');
      if (equalsAt <= 0 || pair.indexOf('=', equalsAt + 1) >= 0) return 'malformed';
      const name = pair.slice(0, equalsAt);
      if (!isFieldName(name)) return 'bad_name';
      const reason = stage.token(name, pair.slice(equalsAt + 1));
      if (reason !== undefined) return reason;
    }
    return undefined;
  }
}
