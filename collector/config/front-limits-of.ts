import type { TlsFrontOptions } from '../server/tls-front.js';
import type { CollectorConfig } from './schema.js';

/**
 * Connections under way to a handshake: at the default rate and time limit there can be no more of them from devices that
 * answer, and those that never do take some 40 kB each.
 */
const HANDSHAKES_MAX = 1000;

/**
 * A device gives a connection 20 s; after half of that it may as well try again. As many wait as come to their turn in
 * this time.
 */
const WAIT_MS_MAX = 10_000;

/** What a handshake may take: eight round trips of the slowest satellite link. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What is let in, as configured; what is not configurable has its reason here. */
export function frontLimitsOf({
  limits,
}: CollectorConfig): Omit<TlsFrontOptions, 'material' | 'trustDomain' | 'scheduler' | 'connected'> {
  const { handshakesPerSecond, connections, connectionsPerDevice } = limits;
  return {
    limits: {
      handshakesPerSecond,
      handshakesBurst: handshakesPerSecond,
      handshakesMax: HANDSHAKES_MAX,
      connectionsMax: connections,
      waitingMax: (handshakesPerSecond * WAIT_MS_MAX) / 1000,
      waitMsMax: WAIT_MS_MAX,
    },
    connectionsPerDevice,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
  };
}
