import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { Command } from 'commander';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { addPkiCommand } from './pki-command.js';

const dir = mkdtempSync(join(tmpdir(), 'tributary-pki-command-'));
afterAll(() => rmSync(dir, { recursive: true }));

async function run(...words: string[]): Promise<string> {
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  addPkiCommand(program);
  for (const command of program.commands[0].commands) command.exitOverride().configureOutput({ writeErr: () => {} });
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  try {
    await program.parseAsync(['pki', ...words, '--dir', dir], { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return printed;
}

describe('the pki command', () => {
  it('makes everything that a collector and its devices need, and says which files', async () => {
    expect(await run('init', '--trust-domain', 'example.org')).toMatch(
      /^certificate authority spiffe:\/\/example\.org, valid until \d{4}-\d\d-\d\d\n {2}certificate {2}.*ca\.pem\n {2}key {10}.*ca-key\.pem \(keep it secret\)\n$/,
    );
    const server = await run('server', '--host', 'localhost', '127.0.0.1');
    expect(server).toContain('collector spiffe://example.org/collector/collector');
    expect(server).toContain(`CA           ${join(dir, 'ca.pem')}`);
    expect(await run('device', 'press-1', '--tenant', 'acme')).toContain(
      'spiffe://example.org/tenant/acme/device/press-1',
    );
    expect(await run('operator', 'grafana')).toContain(join(dir, 'operator-grafana-key.pem'));
    for (const stem of ['server', 'device-acme-press-1', 'operator-grafana']) {
      const files = { ca: join(dir, 'ca.pem'), cert: join(dir, `${stem}.pem`), key: join(dir, `${stem}-key.pem`) };
      expect(loadTlsFiles(files).identity.trustDomain).toBe('example.org');
    }
  });

  it('refuses to replace what is there, unless forced', async () => {
    await expect(run('init', '--trust-domain', 'example.org')).rejects.toMatchObject({ code: 'exists' });
    await expect(run('operator', 'grafana')).rejects.toMatchObject({ code: 'exists' });
    expect(await run('operator', 'grafana', '--force')).toContain('operator-grafana.pem');
  });

  it('refuses days that are none', async () => {
    await expect(run('device', 'x', '--days', '0')).rejects.toThrow(/a whole number of days/);
    await expect(run('device', 'x', '--days', '1e3')).rejects.toThrow(/a whole number of days/);
  });
});
