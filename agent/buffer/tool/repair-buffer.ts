import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { EPOCH_BYTES } from '@tributary/proto/items/item';
import type { BufferIdentity } from '../buffer.js';
import { BufferEngine } from '../buffer-engine.js';
import { readMark } from '../high-water-mark.js';
import { isBuffer } from '../open-check.js';
import { liveName } from './buffer-copy.js';

/** A repair has no start of an agent that waits for it; still, an hour reads any card. */
const REPAIR_MS_MAX = 3_600_000;
/** Where no configuration says how large the buffer may be. */
const QUOTA_BYTES_DEFAULT = 2 ** 40;

export interface RepairReport {
  path: string;
  opened: BufferIdentity['opened'];
  salvaged: BufferIdentity['salvaged'];
  /** Items whose checksum failed, set aside and declared. */
  quarantined: number;
  items: number;
  highestSequence: number;
}

/**
 * Does at once what a start of the agent does, without limits of time: salvages a damaged file, looks at every row, declares
 * what is missing. Doing it again changes nothing. Throws a `TributaryError`: `busy` while an agent runs.
 */
export function repairBuffer(path: string, quotaBytes = QUOTA_BYTES_DEFAULT): RepairReport {
  if (!existsSync(path) && !existsSync(`${path}-wal`)) {
    throw new TributaryError(
      'usage',
      `${path}: there is no buffer; name the file of an agent with --path, or its --config`,
    );
  }
  // An agent takes whatever lies where its buffer belongs for a damaged one. A person may have named another file.
  if (existsSync(path) && statSync(path).isFile() && !isBuffer(path, readMark(liveName(path)))) {
    throw new TributaryError(
      'usage',
      `${path}: nothing says that this is a buffer, so it stays as it is; an agent that is given it moves it aside`,
    );
  }
  const limits = { checkMsMax: REPAIR_MS_MAX, salvageMsMax: REPAIR_MS_MAX, checksAlways: true };
  const newEpoch = () => randomBytes(EPOCH_BYTES);
  const engine = new BufferEngine({ path, quotaBytes, newEpoch, ...limits });
  try {
    const { opened, salvaged, highestSequence } = engine.identity;
    const status = engine.run((core) => core.status());
    const quarantined = status.itemsQuarantined - engine.quarantinedBefore;
    return { path, opened, salvaged, quarantined, items: status.itemsWaiting, highestSequence };
  } finally {
    engine.close();
  }
}

export function repairText({ path, opened, salvaged, quarantined, items }: RepairReport): string {
  const lines: string[] = [];
  if (salvaged !== undefined) {
    lines.push(
      `${path} was damaged; it is now ${path}.damaged-1`,
      `${salvaged.items} items with ${salvaged.readings} readings were carried over`,
      `${salvaged.gaps} gaps were declared`,
    );
    if (!salvaged.isComplete) lines.push('not all of it was read in the time that is allowed');
  }
  if (quarantined > 0) lines.push(`${quarantined} items failed their checksum; they were set aside and declared`);
  if (lines.length === 0)
    lines.push(`${path}: nothing to repair${opened === 'unclean' ? ' (it was not closed in order)' : ''}`);
  return `${lines.join('\n')}\n${items} items wait\n`;
}
