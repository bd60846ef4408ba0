import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@tributary/core/clock/random';
import { atExit } from '../rig/at-exit.js';
import { type Fault, type FaultCounts, NOTHING } from './fault.js';
import { lacking } from './needs.js';

export interface FaultResult extends FaultCounts {
  fault: number;
  times: number;
  verdict: 'pass' | 'fail' | 'skipped';
  /** What is wrong; of a row that passed, what it measured. */
  why: string;
}

export interface RunOptions {
  times: number;
  seed: number;
  minutes?: number | undefined;
  isShort: boolean;
  patience: number;
  log: (text: string) => void;
}

/** Runs one row and judges it. A row that throws has failed; one that the machine cannot run says so. */
export async function runFault(fault: Fault, options: RunOptions): Promise<FaultResult> {
  const { times, seed, minutes, isShort, patience, log } = options;
  const head = { fault: fault.number, times };
  const lack = lacking(fault.needs);
  if (lack !== undefined) return { ...head, ...NOTHING, times: 0, verdict: 'skipped', why: lack };
  const folder = mkdtempSync(join(tmpdir(), `tributary-fault-${fault.number}-`));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const isRemoved = atExit(remove);
  try {
    const random = seededRandom(seed * 1000 + fault.number);
    const { problems, figures, ...counts } = await fault.run({
      times,
      seed,
      minutes,
      isShort,
      random,
      folder,
      patience,
      log,
    });
    const wrong = [...wrongCounts(counts), ...problems];
    if (wrong.length === 0) return { ...head, ...counts, verdict: 'pass', why: figures };
    const why = figures === '' ? wrong.join('; ') : `${wrong.join('; ')} (${figures})`;
    return { ...head, ...counts, verdict: 'fail', why };
  } catch (error) {
    return { ...head, ...NOTHING, verdict: 'fail', why: messageOf(error) };
  } finally {
    isRemoved();
    remove();
  }
}

/** A row that produced nothing has shown nothing. */
function wrongCounts({ produced, stored, declared, missing, duplicates, altered }: FaultCounts): string[] {
  const wrong: string[] = [];
  if (produced === 0) wrong.push('nothing was produced');
  if (missing !== 0) wrong.push(`${missing} readings are missing`);
  if (duplicates !== 0) wrong.push(`${duplicates} readings are stored twice`);
  if (altered !== 0) wrong.push(`${altered} readings are altered`);
  if (produced !== stored + declared + missing) {
    wrong.push(`${produced} produced are not ${stored} stored, ${declared} declared and ${missing} missing`);
  }
  return wrong;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${messageOf(error.cause)}`;
}
