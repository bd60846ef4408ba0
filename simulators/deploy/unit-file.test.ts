import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../rig/rig.js';
import { systemdVersion } from './systemd-machine.js';

const unit = join(root, 'deploy/systemd/tributary-agent.service');
const text = readFileSync(unit, 'utf8');
const analyzer = spawnSync('systemd-analyze', ['--version']).status === 0;

/** What systemd thinks of the sandbox of a unit: from 0 (nothing can be reached) to 10. */
function exposure(file: string): number {
  const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', file], {
    encoding: 'utf8',
  });
  const found = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout);
  if (found === null) throw new Error(`systemd-analyze said nothing of use:\n${stdout}`);
  return Number(found[1]);
}

describe.skipIf(!analyzer)(`the unit${analyzer ? '' : ' (skipped: systemd-analyze is not there)'}`, () => {
  it('exposes the device at or under 2.0, serial ports and network included', () => {
    expect(exposure(unit)).toBeLessThanOrEqual(2);
    // The figure follows the file: without its sandbox a service is at 9 and more.
    const folder = mkdtempSync(join(tmpdir(), 'unit-'));
    try {
      const bare = join(folder, 'bare.service');
      writeFileSync(bare, '[Service]\nExecStart=/bin/true\n');
      expect(exposure(bare)).toBeGreaterThan(9);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('has nothing that systemd does not know, but the back-off of newer ones', () => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    const known = systemdVersion() >= 254 ? [] : ['RestartSteps', 'RestartMaxDelaySec'];
    const complaints = stderr.split('\n').filter((line) => line.includes('tributary-agent.service'));
    const unexpected = complaints.filter(
      (line) =>
        !known.some((key) => line.includes(`'${key}'`)) &&
        // It is verified where the bundle and Node need not be installed.
        !/Command (\/usr\/bin\/node|\S*tributary-agent\S*) is not executable/.test(line),
    );
    expect(unexpected).toEqual([]);
  });
});

describe('the unit and what is installed with it', () => {
  it('agree on places and names', () => {
    const script = readFileSync(join(root, 'deploy/systemd/install.sh'), 'utf8');
    const sysusers = readFileSync(join(root, 'deploy/systemd/sysusers.conf'), 'utf8');
    const [, program] = /^ExecStart=\/usr\/bin\/node (\S+) run --config/m.exec(text)!;
    expect(program).toBe('/opt/tributary-agent/dist/cli.js');
    expect(script).toContain('mv /opt/tributary-agent.new /opt/tributary-agent');
    const [, user] = /^User=(\S+)$/m.exec(text)!;
    expect(sysusers).toMatch(new RegExp(`^u ${user} `, 'm'));
    for (const kind of ['sysusers', 'tmpfiles', 'modules-load']) {
      expect(existsSync(join(root, 'deploy/systemd', `${kind}.conf`))).toBe(true);
      expect(script).toContain(`${kind}.d`);
    }
  });

  it('give serial ports and no other device, and wait for no network and no clock', () => {
    const allowed = [...text.matchAll(/^DeviceAllow=(\S+) (\S+)$/gm)].map(([, device, mode]) => `${device} ${mode}`);
    expect(allowed).toEqual(['char-ttyUSB rw', 'char-ttyACM rw', 'char-ttyAMA rw', 'char-ttyS rw']);
    expect(text).toMatch(/^DevicePolicy=closed$/m);
    expect(text).toMatch(/^SupplementaryGroups=dialout$/m);
    expect(text).not.toMatch(/^(After|Wants|Requires)=.*(network|time-sync)/m);
    expect(text).not.toMatch(/^(MemoryDenyWriteExecute|PrivateDevices)=/m);
  });
});
