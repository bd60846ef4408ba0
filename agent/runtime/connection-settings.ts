import type { Address } from '@tributary/core/config/address';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import { formatSpiffeId } from '@tributary/core/identity/spiffe-id';
import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import type { AgentConfig } from '../config/schema.js';
import { type ConfigChanges, configChanges } from './config-changes.js';

/** Where the collector is and how the agent proves who it is: what can be changed while the agent runs. */
export class ConnectionSettings {
  /** The device, as its SPIFFE id. It stays the same: the buffer is this device's. */
  readonly device: string;
  readonly identity: TlsMaterial['identity'];
  /** As it is in force: what needs a restart has its first value. */
  #config: AgentConfig;
  #material: TlsMaterial;

  /** Throws a `TributaryError` (code `config`) when the certificates cannot be used. */
  constructor(config: AgentConfig) {
    this.#config = config;
    this.#material = loadTlsFiles(config.tls, 'device');
    this.identity = this.#material.identity;
    this.device = formatSpiffeId(this.identity);
  }

  get address(): Address {
    return this.#config.collector.address;
  }

  get serverName(): string | undefined {
    return this.#config.collector.serverName;
  }

  /**
   * Certificates as they are on the disk now, so that renewed ones are used by the next connection. A torn pair or a missing
   * file while they are being renewed is told to `unreadable`, and the last good ones still hold.
   */
  material(unreadable: (why: string) => void): TlsMaterial {
    try {
      this.#material = loadTlsFiles(this.#config.tls, 'device');
    } catch (error) {
      unreadable((error as Error).message);
    }
    return this.#material;
  }

  /**
   * Takes what can be taken of another configuration. Throws a `TributaryError` (code `config`) and takes nothing when its
   * certificates cannot be used or are another device's. `isChanged` says that a new connection would be another one.
   */
  take(next: AgentConfig): { changes: ConfigChanges; isChanged: boolean } {
    const material = loadTlsFiles(next.tls, 'device');
    const device = formatSpiffeId(material.identity);
    if (device !== this.device) {
      const message = `it is of ${device}, and this agent runs as ${this.device}; start it anew to make it another device`;
      throw new TributaryError('config', `${next.tls.cert}: ${message}`);
    }
    const before = this.#config;
    const changes = configChanges(before, next);
    const collector = { ...next.collector, streamAge: before.collector.streamAge };
    const isChanged =
      !isSame(this.#material, material) || changes.applied.some((field) => field.startsWith('collector.'));
    this.#config = { ...before, collector, tls: next.tls, log: next.log };
    this.#material = material;
    return { changes, isChanged };
  }
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  return one.ca.equals(other.ca) && one.cert.equals(other.cert) && one.key.equals(other.key);
}
