import type { Scheduler } from '@tributary/core/clock/clock';
import type { Random } from '@tributary/core/clock/random';
import type { LineFormatConfig } from './formats/line-reader.js';
import type { FieldConfig } from './formats/line-stage.js';
import { ReplaySource } from './replay/replay-source.js';
import type { SourceConfig } from './schema.js';
import type { SerialBinding } from './serial/serial-binding.js';
import { SerialSource } from './serial/serial-source.js';
import { SimulatorSource } from './simulator/simulator-source.js';
import type { Source, SourceHost } from './source.js';

export interface SourceDeps {
  scheduler: Scheduler;
  random: Random;
  serialBinding: SerialBinding;
}

/** Makes the source that a configuration describes; it is not started. */
export function createSource(config: SourceConfig, host: SourceHost, deps: SourceDeps): Source {
  switch (config.type) {
    case 'serial': {
      const { fields, maxSeries, maxLineBytes, firstLine, expectWithin, ...rest } = config;
      return new SerialSource(
        {
          ...rest,
          format: lineFormat(config),
          fields: fieldConfigs(fields),
          seriesMax: maxSeries,
          lineBytesMax: maxLineBytes,
          discardFirstFragment: firstLine === 'drop',
          expectWithinMs: expectWithin,
        },
        host,
        { binding: deps.serialBinding, scheduler: deps.scheduler, random: deps.random },
      );
    }
    case 'simulator':
      return new SimulatorSource({ ...config, intervalMs: config.interval }, host, deps);
    case 'replay': {
      const { fields, maxSeries, mode, ...rest } = config;
      return new ReplaySource(
        { ...rest, fields: fieldConfigs(fields), seriesMax: maxSeries, loop: mode === 'loop' },
        host,
        deps,
      );
    }
  }
}

function lineFormat({ format, csv }: Extract<SourceConfig, { type: 'serial' }>): LineFormatConfig {
  return format === 'csv' ? { type: 'csv', separator: csv?.separator ?? ',', columns: csv?.columns } : { type: format };
}

/** The configuration says `number` where the batch format says `double`. */
function fieldConfigs(fields: Extract<SourceConfig, { type: 'serial' }>['fields']) {
  if (fields === undefined) return undefined;
  const configs: Record<string, FieldConfig> = {};
  for (const [field, { name, unit, type }] of Object.entries(fields)) {
    configs[field] = { name, unit, type: type === 'number' ? 'double' : type };
  }
  return configs;
}
