import type { Buffer as EdgeBuffer } from '../buffer/buffer.js';
import type { AgentConfig } from '../config/schema.js';
import { ConnectionSettings } from './connection-settings.js';

/** Certificates are checked while the buffer opens; if they cannot be used, the buffer is closed again. */
export async function connectionOrClose(
  config: AgentConfig,
  opening: Promise<EdgeBuffer>,
): Promise<ConnectionSettings> {
  try {
    return new ConnectionSettings(config);
  } catch (error) {
    // What the buffer says about itself comes second; the certificates are what the caller must mend first.
    await opening.then((buffer) => buffer.close()).catch(() => {});
    throw error;
  }
}
