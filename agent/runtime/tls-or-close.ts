import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import type { AgentConfig } from '../config/schema.js';

/** Certificates are checked while the buffer opens; if they cannot be used, the buffer is closed again. */
export async function tlsOrClose({ tls }: AgentConfig, opening: Promise<EdgeBuffer>): Promise<TlsMaterial> {
  try {
    return loadTlsFiles(tls, 'device');
  } catch (error) {
    // What the buffer says about itself comes second; the certificates are what the caller must mend first.
    await opening.then((buffer) => buffer.close()).catch(() => {});
    throw error;
  }
}
