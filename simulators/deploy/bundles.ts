import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type programFile, root } from '../rig/rig.js';

/** Bundles in a folder of their own outside of the repository, so that nothing of it is found by chance. */
export class Bundles {
  readonly folder: string;

  private constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'tributary-bundles-'));
  }

  /** Makes them by the command that ships them; all of them by default. */
  static make(...names: ('agent' | 'collector')[]): Bundles {
    const bundles = new Bundles();
    const script = join(root, '.scripts', 'bundle.mjs');
    execFileSync(process.execPath, [script, ...names, '--to', bundles.folder], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    return bundles;
  }

  of(name: 'agent' | 'collector'): string {
    return join(this.folder, name);
  }

  /** The command line of a bundle. */
  readonly program: typeof programFile = (name) => join(this.of(name), 'bin', `tributary-${name}.mjs`);

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
