import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfig } from '@tributary/core/config/load-config';
import type { TlsFiles } from '@tributary/core/identity/tls-files';
import { createLogger } from '@tributary/core/log/logger';
import { type Collector, startCollector } from './collector.js';
import { collectorSchema } from './config/schema.js';
import { createCa, issueDevice, issueOperator, issueServer, type PkiOptions } from './identity/pki.js';

/** A folder of a test with real certificates, in which collectors are started on loopback; to be removed at the end. */
export class TestSite {
  readonly root: string;
  readonly device: TlsFiles;
  readonly #pki: PkiOptions;
  readonly #serverTls: string;

  private constructor(root: string, pki: PkiOptions, device: TlsFiles, serverTls: string) {
    this.root = root;
    this.device = device;
    this.#pki = pki;
    this.#serverTls = serverTls;
  }

  /** With the certificates of a CA, a server and one device. `purpose` becomes a part of the folder's name. */
  static async make(purpose: string): Promise<TestSite> {
    const root = mkdtempSync(join(tmpdir(), `tributary-${purpose}-`));
    const pki = { dir: join(root, 'pki'), days: 30, nowMs: Date.now() };
    const ca = await createCa({ ...pki, trustDomain: 'example.org' });
    const server = await issueServer({ ...pki, hosts: ['127.0.0.1'] });
    const { cert, key } = await issueDevice({ ...pki, device: 'pump' });
    const serverTls = `{ ca: ${ca.cert}, cert: ${server.cert}, key: ${server.key} }`;
    return new TestSite(root, pki, { ca: ca.cert, cert, key }, serverTls);
  }

  /** The certificate of another device. */
  async issueDevice(device: string, tenant?: string): Promise<TlsFiles> {
    const { cert, key } = await issueDevice({ ...this.#pki, device, ...(tenant === undefined ? {} : { tenant }) });
    return { ca: this.device.ca, cert, key };
  }

  /** The certificate of an operator. */
  async issueOperator(name: string): Promise<TlsFiles> {
    const { cert, key } = await issueOperator({ ...this.#pki, name });
    return { ca: this.device.ca, cert, key };
  }

  /** Where the collector of this name keeps its store. */
  storePath(name: string): string {
    return join(this.root, `${name}.db`);
  }

  /** A collector on ports of its own; `more` is further configuration. */
  start(name: string, more = ''): Promise<Collector> {
    const text = `
listen: 127.0.0.1:0
tls: ${this.#serverTls}
trustDomain: example.org
health: { listen: 127.0.0.1:0 }
log: { level: silent }
store: { sqlite: { path: ${this.storePath(name)} } }
${more}`;
    const config = parseConfig(text, join(this.root, 'collector.yaml'), collectorSchema);
    return startCollector(config, { logger: createLogger('test', 'silent') });
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
