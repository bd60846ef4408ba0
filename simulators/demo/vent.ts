import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';

/** What a device moves by itself: a program of its own that writes down when it was run, and about which incident. */
export class Vent {
  /** For the configuration of the agent. */
  readonly action: Record<string, unknown>;

  constructor(
    program: string,
    private readonly log: string,
  ) {
    writeFileSync(program, `#!/bin/sh\necho "$1 $2" >> '${log}'\n`);
    chmodSync(program, 0o755);
    const command = [program, '{{state}}', '{{incident}}'];
    this.action = { name: 'vent', match: { rule: 'greenhouse-vent' }, run: { command } };
  }

  /** State and incident of each run. */
  done(): string[] {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8').trimEnd().split('\n') : [];
  }
}
