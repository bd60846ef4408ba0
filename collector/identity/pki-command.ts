import { type Command, InvalidArgumentError } from 'commander';
import type { IssuedFiles, PkiOptions } from './pki.js';

interface CommonFlags {
  dir: string;
  days: number;
  force: boolean;
}

/** Ten years for a CA that lies in a drawer; a year and a month for the rest, so that renewal is practised. */
const caDays = 3650;
const leafDays = 397;

/**
 * Adds `pki init | server | device | operator`. Failures reject with a `TributaryError`; what was made is printed on
 * standard output. The X.509 library is loaded only when one of them runs.
 */
export function addPkiCommand(program: Command): void {
  const pki = program
    .command('pki')
    .description('make a certificate authority and issue certificates, for laptops and tests');

  common(pki.command('init').description('make a certificate authority'), caDays)
    .requiredOption('--trust-domain <name>', 'trust domain of all SPIFFE ids, such as example.org')
    .action(async (flags: CommonFlags & { trustDomain: string }) => {
      const { createCa } = await import('./pki.js');
      show('certificate authority', await createCa({ ...pkiOptions(flags), trustDomain: flags.trustDomain }));
    });

  common(pki.command('server').description('issue a certificate for a collector'), leafDays)
    .requiredOption('--host <name...>', 'DNS names and IP addresses that devices call')
    .option('--name <name>', 'name of the collector, where there are several')
    .action(async (flags: CommonFlags & { host: string[]; name?: string }) => {
      const { issueServer } = await import('./pki.js');
      const name = flags.name === undefined ? {} : { name: flags.name };
      show('collector', await issueServer({ ...pkiOptions(flags), hosts: flags.host, ...name }));
    });

  common(pki.command('device').description('issue a certificate for a device').argument('<name>'), leafDays)
    .option('--tenant <name>', 'tenant that the device belongs to')
    .action(async (device: string, flags: CommonFlags & { tenant?: string }) => {
      const { issueDevice } = await import('./pki.js');
      const tenant = flags.tenant === undefined ? {} : { tenant: flags.tenant };
      show('device', await issueDevice({ ...pkiOptions(flags), device, ...tenant }));
    });

  common(
    pki.command('operator').description('issue a certificate for a person or program').argument('<name>'),
    leafDays,
  ).action(async (name: string, flags: CommonFlags) => {
    const { issueOperator } = await import('./pki.js');
    show('operator', await issueOperator({ ...pkiOptions(flags), name }));
  });
}

function common(command: Command, days: number): Command {
  return command
    .option('--dir <folder>', 'folder of the certificates', 'pki')
    .option('--days <number>', 'days of validity', parseDays, days)
    .option('--force', 'replace files that exist', false);
}

function parseDays(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('a whole number of days from 1 to 36500 is needed');
  return Number(text);
}

function pkiOptions({ dir, days, force }: CommonFlags): PkiOptions {
  return { dir, days, force, nowMs: Date.now() };
}

function show(what: string, files: IssuedFiles): void {
  const end = new Date(files.notAfterMs).toISOString().slice(0, 10);
  const ca = files.ca === files.cert ? '' : `  CA           ${files.ca}\n`;
  process.stdout.write(
    `${what} ${files.id}, valid until ${end}\n  certificate  ${files.cert}\n  key          ${files.key} (keep it secret)\n${ca}`,
  );
}
