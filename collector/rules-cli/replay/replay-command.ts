import type { Writable } from 'node:stream';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { type CompiledRule, compileRule } from '@tributary/core/rules/compiled-rule';
import { glob } from '@tributary/core/rules/glob';
import { loadRules } from '@tributary/core/rules/rule';
import { formatUs } from '../../query/instant-format.js';
import { openStored } from '../open-stored.js';
import { JsonPrinter, TablePrinter } from './replay-printer.js';
import { type Progress, replayRules } from './replay-rules.js';

export interface ReplaySettings {
  rulesFile: string;
  storeFile: string;
  /** Event times in microseconds since the Unix epoch. */
  sinceUs: number;
  untilUs: number;
  /** How long before the rules begin to look; as long as they remember when undefined. */
  leadMs: number | undefined;
  device: string;
  rule: string;
  isCompared: boolean;
  json: boolean;
}

/** What a replay prints: results on `out`, how far it is on `log`. */
export interface ReplayOutput {
  out: Writable;
  log: (line: string) => void;
  /** Milliseconds of a clock that never goes back. */
  nowMs: () => number;
}

/** Rules that remember less are given this to find out that something has been so for long. */
const LEAD_MS_MIN = 3_600_000;
/** Rules that never forget know what is usual after a week. */
const LEAD_MS_MAX = 7 * 86_400_000;
/** Whoever waits wants to see that it goes on; whoever keeps the log does not want to read of it. */
const PROGRESS_MS = 5000;

/** Replays what is stored and prints what would have fired. Rejects with a `TributaryError`. */
export async function printReplay(settings: ReplaySettings, output: ReplayOutput): Promise<void> {
  const { sinceUs, untilUs, isCompared, json } = settings;
  if (sinceUs >= untilUs) {
    throw new TributaryError('usage', `--since ${formatUs(sinceUs)} is not before --until ${formatUs(untilUs)}`);
  }
  const rules = chosenRules(settings, output.log);
  const leadUs = (settings.leadMs ?? leadOf(rules)) * 1000;
  const store = await openStored(settings.storeFile);
  try {
    const printer = json ? new JsonPrinter(output.out) : new TablePrinter(output.out, isCompared);
    const result = await replayRules({
      store,
      rules,
      fromUs: sinceUs,
      untilUs,
      leadUs,
      devices: settings.device,
      isCompared,
      found: (found) => printer.found(found),
      progress: progressLine(output),
    });
    await printer.end(result, sinceUs, untilUs);
    if (result.undecodable > 0) {
      output.log(`${result.undecodable} stored batches cannot be read by this version and were left out`);
    }
  } finally {
    await store.close();
  }
}

function chosenRules({ rulesFile, rule: pattern }: ReplaySettings, log: (line: string) => void): CompiledRule[] {
  const matches = glob(pattern);
  const chosen = loadRules(rulesFile)
    .filter(({ name }) => matches(name))
    .map(compileRule);
  if (chosen.length === 0) throw new TributaryError('usage', `${rulesFile} has no rule that matches ${pattern}`);
  return chosen.filter(({ name, watchesDevice }) => {
    if (watchesDevice) log(`${name} watches when devices are heard of, which is not stored: it is left out`);
    return !watchesDevice;
  });
}

function leadOf(rules: readonly CompiledRule[]): number {
  const longestUs = Math.max(0, ...rules.map(({ memoryUs }) => memoryUs));
  return Math.min(LEAD_MS_MAX, Math.max(LEAD_MS_MIN, Math.ceil(longestUs / 1000)));
}

function progressLine({ log, nowMs }: ReplayOutput): (progress: Progress) => void {
  let lastMs = nowMs();
  return ({ devices, readings, device, atUs }) => {
    if (nowMs() - lastMs < PROGRESS_MS) return;
    lastMs = nowMs();
    log(`${readings} readings of ${devices} devices so far; ${device} up to ${formatUs(atUs)}`);
  };
}
