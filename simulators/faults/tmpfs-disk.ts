import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../rig/at-exit.js';

/** A small disk of its own in memory, which can be made to refuse and to take writes again. Needs the right to mount. */
export class TmpfsDisk {
  #isUnmounted: (() => void) | undefined;

  private constructor(readonly folder: string) {
    mkdirSync(folder);
  }

  /** Mounts a disk of so many bytes and inodes. */
  static mount(folder: string, bytes: number, inodes: number): TmpfsDisk {
    const disk = new TmpfsDisk(folder);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},nr_inodes=${inodes}`, 'tmpfs', folder]);
    disk.#isUnmounted = atExit(() => disk.unmount());
    return disk;
  }

  /** Another file takes all the room that there is. */
  fill(): void {
    const file = openSync(join(this.folder, 'ballast'), 'w');
    try {
      for (let bytes = 1 << 16; bytes >= 1; ) {
        try {
          writeSync(file, new Uint8Array(bytes));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          bytes >>= 1;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  /** Other files take all inodes. */
  takeInodes(): void {
    for (let at = 0; ; at++) {
      try {
        writeFileSync(join(this.folder, `ballast-${at}`), '');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        return;
      }
    }
  }

  makeReadOnly(): void {
    execFileSync('mount', ['-o', 'remount,ro', this.folder]);
  }

  /** Takes writes again, and has the room that it had. */
  heal(): void {
    execFileSync('mount', ['-o', 'remount,rw', this.folder]);
    for (const name of readdirSync(this.folder)) if (name.startsWith('ballast')) rmSync(join(this.folder, name));
  }

  unmount(): void {
    execFileSync('umount', ['-l', this.folder]);
    this.#isUnmounted?.();
  }
}
