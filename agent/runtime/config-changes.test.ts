import { parseConfig } from '@tributary/core/config/load-config';
import { describe, expect, it } from 'vitest';
import { agentSchema } from '../config/schema.js';
import { configChanges } from './config-changes.js';

const text = (more: string, address = 'a.example:4443') => `
collector: {address: "${address}"}
tls: {ca: ca.pem, cert: device.pem, key: device.key}
buffer: {path: buffer.db}
sources: [{type: simulator, name: sim, interval: 1s, series: [{name: t, model: temperature}]}]
${more}
`;
const parse = (source: string) => parseConfig(source, '/etc/agent.yaml', agentSchema);

describe('changes of a configuration', () => {
  it('are none where nothing but the writing has changed', () => {
    expect(configChanges(parse(text('')), parse(text('log: {level: info}')))).toEqual({
      applied: [],
      needsRestart: [],
    });
  });

  it('are told apart by whether a running agent can take them', () => {
    const after = text('log: {level: debug}\nbatching: {maxAge: 2s}\ndevice: {site: plant}', 'b.example:4443')
      .replace('buffer.db', 'other.db')
      .replace('interval: 1s', 'interval: 2s');
    expect(configChanges(parse(text('')), parse(after))).toEqual({
      applied: ['collector.address', 'log.level'],
      needsRestart: ['batching.maxAge', 'buffer.path', 'device.site', 'sources'],
    });
  });
});
