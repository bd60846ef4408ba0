import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readStatus } from '@tributary/agent/health/status-socket';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VirtualBoard } from '../board/virtual-board.js';
import { Rig, root } from '../rig/rig.js';
import { until } from '../rig/until.js';
import { Bundles } from './bundles.js';

let bundles: Bundles;
beforeAll(() => {
  bundles = Bundles.make();
});
afterAll(() => bundles.remove());

const filesOf = (name: 'agent' | 'collector') =>
  readdirSync(bundles.of(name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('a bundle', () => {
  it('is all that is needed: a board is read through a pty, buffered, uploaded and stored', async () => {
    const rig = await Rig.create('bundle', bundles.program);
    const board = new VirtualBoard({
      series: [{ name: 'temperature', model: { type: 'double', at: () => 21.5 } }],
      format: 'json',
      intervalMs: 100,
      link: rig.path('board'),
      nowUs: () => Date.now() * 1000,
    });
    try {
      board.plug();
      await rig.device('pi');
      const { port, child } = await rig.collector();
      const source = { type: 'serial', name: 'board', path: rig.path('board'), format: 'json' };
      const agent = await rig.agent('pi', port, { sources: [source] });
      const socket = rig.path('pi.sock');
      await until('readings are acknowledged', async () => {
        const status = await readStatus(socket);
        return status.uplink.itemsAcknowledged > 0 && status.readings.taken > 20;
      });
      expect(await agent.stop()).toBe(0);
      const operator = rig.path('operator.yaml');
      writeFileSync(operator, JSON.stringify({ address: `127.0.0.1:${port}`, ...rig.operatorFiles }));
      // The health service and reflection read files of their own when the collector starts; queries use another thread.
      const audit = execFileSync(process.execPath, [bundles.program('collector'), 'audit', '--config', operator]);
      expect(audit.toString()).toMatch(/produced .*stored/s);
      expect(await child.stop()).toBe(0);
    } finally {
      board.unplug();
      await rig.close();
    }
  });

  it.each(['agent', 'collector'] as const)(
    'of the %s has neither tests nor sources, and says what it has of others',
    (name) => {
      const files = filesOf(name);
      expect(files.filter((path) => /\.(test\.js|ts|map|h|cc|c)$/.test(path))).toEqual([]);
      expect(files.length).toBeLessThan(200);
      const bom = JSON.parse(readFileSync(join(bundles.of(name), 'sbom.cdx.json'), 'utf8')) as {
        components: { name: string; version: string; licenses: { expression: string }[]; purl: string }[];
      };
      const names = bom.components.map((component) => component.name);
      for (const expected of ['@grpc/grpc-js', 'better-sqlite3', 'pino', 'valibot']) expect(names).toContain(expected);
      expect(names.filter((one) => /vitest|typescript|esbuild|node-gyp$/.test(one))).toEqual([]);
      const { version } = JSON.parse(readFileSync(join(root, 'node_modules/better-sqlite3/package.json'), 'utf8'));
      expect(bom.components.find((one) => one.name === 'better-sqlite3')).toMatchObject({
        version,
        licenses: [{ expression: 'MIT' }],
        purl: `pkg:npm/better-sqlite3@${version}`,
      });
      const licences = readFileSync(join(bundles.of(name), 'LICENSES.txt'), 'utf8');
      for (const component of bom.components) expect(licences).toContain(`${component.name} ${component.version}\n`);
    },
  );

  it.each(['agent', 'collector'] as const)(
    'of the %s names no registry and no path of the machine that made it',
    (name) => {
      for (const path of filesOf(name)) {
        if (path.endsWith('.node')) continue;
        const text = readFileSync(path, 'utf8');
        expect(text.includes(root.replace(/\/$/, '')), path).toBe(false);
        expect(/https?:\/\/registry\./.test(text), path).toBe(false);
      }
    },
  );
});
