import type { Scheduler } from '@tributary/core/clock/clock';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { TlsMaterial } from '@tributary/core/identity/tls-files';
import type { Logger } from 'pino';

export interface TlsRenewalDeps {
  scheduler: Scheduler;
  logger: Logger;
  /** Reads the certificates as they are on the disk; throws a `TributaryError` when they are not in order. */
  read(): TlsMaterial;
  /** Gives them to new connections. */
  use(material: TlsMaterial): void;
}

/** A renewed certificate has days until the old one ends; three small files are read in less than a millisecond. */
const LOOK_MS = 60_000;

/**
 * Takes renewed certificates into use: when it is told to, and by itself within a minute, because whoever mounts a Secret
 * sends no signal. Looking beats watching: files that are swapped by a link, or torn for a moment, are read when they are
 * whole, and the old ones hold until then.
 */
export class TlsRenewal {
  readonly #deps: TlsRenewalDeps;
  #inUse: TlsMaterial;
  #refused = '';
  #cancel: () => void = () => {};

  /** `inUse` is what connections get now. */
  constructor(inUse: TlsMaterial, deps: TlsRenewalDeps) {
    this.#inUse = inUse;
    this.#deps = deps;
  }

  start(): void {
    this.#cancel = this.#deps.scheduler.setTimer(LOOK_MS, () => {
      this.#look();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  /** Takes what is there now, also when it is the same. Throws, and leaves the old ones, when it is not in order. */
  reload(): void {
    this.#use(this.#deps.read());
  }

  #look(): void {
    const { read, logger } = this.#deps;
    try {
      const material = read();
      this.#refused = '';
      if (isSame(material, this.#inUse)) return;
      this.#use(material);
      logger.info({ notAfter: new Date(material.notAfterMs).toISOString() }, 'renewed certificates are in use');
    } catch (thrown) {
      const { message } = TributaryError.from(thrown);
      // Once for each reason, not once a minute.
      if (message !== this.#refused)
        logger.warn({ why: message }, 'the certificates cannot be used; the old ones stay');
      this.#refused = message;
    }
  }

  #use(material: TlsMaterial): void {
    this.#deps.use(material);
    this.#inUse = material;
  }
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.ca.equals(other.ca) && one.cert.equals(other.cert) && one.key.equals(other.key);
}
