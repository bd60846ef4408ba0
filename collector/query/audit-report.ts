import type { EpochAudit } from '@tributary/proto/gen/tributary/v1/query';
import { LossReason } from '@tributary/proto/gen/tributary/v1/telemetry';

interface Totals {
  produced: number;
  stored: number;
  /** Exactly so many. */
  declared: number;
  /** At most so many: nobody can know how many a crash took. */
  bound: number;
  missing: number;
  doubled: number;
}

export interface AuditReport {
  text: string;
  /** In one line, for a person. */
  summary: string;
  /** Nothing is missing and nothing stands twice. */
  passes: boolean;
}

/** What an audit found, for a person or as one line of JSON. */
export function reportAudit(epochs: readonly EpochAudit[], json: boolean): AuditReport {
  const totals = sum(epochs);
  const passes = totals.missing === 0 && totals.doubled === 0;
  const summary = verdict(totals, passes);
  if (json) {
    const text = `${JSON.stringify({ epochs: epochs.map(plainEpoch), totals, ok: passes })}\n`;
    return { text, summary, passes };
  }
  const lines = epochs.map((epoch) => {
    const declared = epoch.declared.map(
      ({ reason, readings, bound }) => `${reasonName(reason)} ${bound ? 'at most ' : ''}${readings}`,
    );
    return [
      `${epoch.device} epoch ${hex(epoch.epoch)}`,
      `  produced ${epoch.produced}`,
      `  stored   ${epoch.stored}`,
      `  declared ${declaredOf(epoch, false)}${boundText(declaredOf(epoch, true))}${declared.length === 0 ? '' : ` (${declared.join(', ')})`}`,
      `  missing  ${epoch.missing}`,
      `  doubled  ${epoch.doubled}`,
      `  waiting on the device ${epoch.waiting}, repeated and dropped ${epoch.duplicatesDropped}`,
    ].join('\n');
  });
  return { text: `${[...lines, summary].join('\n')}\n`, summary, passes };
}

function boundText(bound: number): string {
  return bound === 0 ? '' : ` + at most ${bound}`;
}

function verdict({ produced, stored, declared, bound, missing, doubled }: Totals, passes: boolean): string {
  const most = bound === 0 ? '' : 'at most ';
  const equation = `produced ${most}${produced} = stored ${stored} + declared ${declared}${boundText(bound)}`;
  if (passes) return `OK: ${equation}; nothing missing, nothing doubled`;
  return `NOT OK: ${equation} + missing ${missing}; doubled ${doubled}`;
}

function sum(epochs: readonly EpochAudit[]): Totals {
  const totals = { produced: 0, stored: 0, declared: 0, bound: 0, missing: 0, doubled: 0 };
  for (const epoch of epochs) {
    totals.produced += epoch.produced;
    totals.stored += epoch.stored;
    totals.declared += declaredOf(epoch, false);
    totals.bound += declaredOf(epoch, true);
    totals.missing += epoch.missing;
    totals.doubled += epoch.doubled;
  }
  return totals;
}

function plainEpoch(epoch: EpochAudit): object {
  const { device, highestSequence, produced, stored, missing, doubled, duplicatesDropped, waiting } = epoch;
  const declared = epoch.declared.map(({ reason, readings, bound }) => ({
    reason: reasonName(reason),
    readings,
    bound,
  }));
  const counts = { highestSequence, produced, stored, declared, missing, doubled, duplicatesDropped, waiting };
  return { device, epoch: hex(epoch.epoch), ...counts };
}

function declaredOf(epoch: EpochAudit, bounds: boolean): number {
  return epoch.declared.reduce((total, { readings, bound }) => total + (bound === bounds ? readings : 0), 0);
}

function reasonName(reason: LossReason): string {
  return (LossReason[reason] ?? `reason-${reason}`).toLowerCase().replaceAll('_', '-');
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
