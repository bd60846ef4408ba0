import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from '../rig/at-exit.js';

/**
 * An ext4 file system on an image file, mounted through a loop device. A copy of the image is what a disk holds when the
 * power goes at that moment: what the file system or a database had not flushed is not in it. Needs root.
 */
export class LoopDisk {
  readonly mountPoint: string;
  readonly #image: string;
  readonly #copy: string;
  /** Set while it is mounted: it is unmounted by somebody else then. */
  #isUnmounted: (() => void) | undefined;

  constructor(folder: string, name: string, bytes = 256 * 1024 * 1024) {
    mkdirSync(folder, { recursive: true });
    this.mountPoint = join(folder, name);
    this.#image = join(folder, `${name}.img`);
    this.#copy = join(folder, `${name}.copy.img`);
    mkdirSync(this.mountPoint);
    writeFileSync(this.#image, '');
    truncateSync(this.#image, bytes);
    run('mkfs.ext4', '-q', '-F', this.#image);
    this.#mount();
  }

  /** Copies the image as it is now; who writes to it is stopped meanwhile, and nothing is flushed for the copy. */
  cut(): void {
    run('cp', '--sparse=always', this.#image, this.#copy);
  }

  /** Puts what `cut` has copied in the place of the disk. Nobody may have a file of it open. */
  restore(): void {
    this.#unmount();
    renameSync(this.#copy, this.#image);
    this.#mount();
  }

  /** The file system gives up, as it does where the medium fails: from now on it takes no writes, whoever has files open. */
  abort(): void {
    run('mount', '-o', 'remount,abort', this.mountPoint);
  }

  /** Another medium with the same contents. Files that are open stay on the one that failed. */
  replace(): void {
    this.cut();
    this.#isUnmounted?.();
    run('umount', '-l', this.mountPoint);
    // The same file would be the same file system as long as somebody has a file of it open.
    renameSync(this.#copy, this.#image);
    this.#mount();
  }

  close(): void {
    if (this.#isUnmounted !== undefined) this.#unmount();
  }

  #mount(): void {
    run('mount', '-o', 'loop', this.#image, this.mountPoint);
    // Lazily: a process that was killed just now may still have files open.
    this.#isUnmounted = atExit(() => run('umount', '-l', this.mountPoint));
  }

  #unmount(): void {
    run('umount', this.mountPoint);
    this.#isUnmounted?.();
    this.#isUnmounted = undefined;
  }
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
