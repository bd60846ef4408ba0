import { promises as fs } from 'node:fs';

/**
 * How often a silent device is looked after. One second of silence and one look more stay, with the longest wait before
 * reopening, below five seconds; a look costs some 50 microseconds.
 */
const CHECK_MS = 1000;

/**
 * Watches whether the device node behind a path is still the one that was opened. It looks only while the device is
 * silent: data proves that it is there.
 */
export class DevicePresence {
  readonly #path: string;
  readonly #onGone: () => void;
  readonly #timer: NodeJS.Timeout;
  #heard = false;
  #identity: string | undefined;

  /** `onGone` is called once. */
  constructor(path: string, onGone: () => void) {
    this.#path = path;
    this.#onGone = onGone;
    this.#timer = setInterval(() => {
      if (this.#heard) this.#heard = false;
      else void this.#look();
    }, CHECK_MS);
    void this.#look();
  }

  /** Data has arrived. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    let identity = 'gone';
    try {
      const { dev, ino, rdev } = await fs.stat(this.#path);
      identity = `${dev}:${ino}:${rdev}`;
    } catch {
      // Whatever the reason, the node cannot be reached any more.
    }
    this.#identity ??= identity;
    if (identity === this.#identity && identity !== 'gone') return;
    this.stop();
    this.#onGone();
  }
}
