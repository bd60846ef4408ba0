import type { ServerWritableStream } from '@grpc/grpc-js';
import type { Clock, Scheduler } from '@tributary/core/clock/clock';
import type { Identity } from '@tributary/core/identity/spiffe-id';
import type {
  Alert,
  AlertServiceServer,
  WatchAlertsRequest,
  WatchAlertsResponse,
} from '@tributary/proto/gen/tributary/v1/alert';
import type { Logger } from 'pino';
import { CallError, statusOf } from '../server/call-error.js';
import type { AuthenticatedCall } from '../server/caller.js';
import { unary } from '../server/unary.js';
import type { Store } from '../store/store.js';
import type { AlertHub } from './alert-hub.js';
import { CallStream } from './call-stream.js';

export interface AlertServiceOptions {
  store: Pick<Store, 'findDevice' | 'resumeAlerts' | 'acknowledgeAlerts'>;
  hub: AlertHub;
  /** Who calls, from the certificate; throws a `CallError` for nobody. */
  identityOf: (call: AuthenticatedCall) => Identity;
  clock: Pick<Clock, 'wallUs'>;
  scheduler: Scheduler;
  logger: Logger;
  /** A device's cursor was above every number of the store. */
  cursorAhead: () => void;
}

/** Half of the numbers that can be counted exactly: the other half is for the alerts behind it. */
const CURSOR_MAX = 2 ** 52;

/** Alerts of the device that calls, and of no other. */
export function alertService(options: AlertServiceOptions): AlertServiceServer {
  const { store, hub, clock, scheduler, logger } = options;

  async function ownId(call: AuthenticatedCall): Promise<number> {
    const identity = options.identityOf(call);
    if (identity.kind !== 'device') throw new CallError('denied', `only a device may do this, not a ${identity.kind}`);
    const deviceId = await store.findDevice({ tenant: identity.tenant ?? '', device: identity.device });
    if (deviceId === undefined) throw new CallError('conflict', 'this device is not known yet; register first');
    return deviceId;
  }

  async function watch(call: ServerWritableStream<WatchAlertsRequest, WatchAlertsResponse>): Promise<void> {
    const stream = new CallStream(call, scheduler);
    const gone = new AbortController();
    for (const event of ['cancelled', 'close', 'error']) call.on(event, () => gone.abort());
    const { cursor } = call.request;
    if (cursor > CURSOR_MAX) throw new CallError('invalid', `cursor: ${cursor}; numbers go up to ${CURSOR_MAX}`);
    const deviceId = await ownId(call);
    if (cursor > 0 && (await store.resumeAlerts(deviceId, cursor))) {
      options.cursorAhead();
      logger.warn({ deviceId, cursor }, 'a device has seen more alerts than the store has; was it restored?');
    }
    const sink = (value: Alert) => stream.write({ message: { $case: 'alert', value } });
    await hub.watch(deviceId, cursor, sink, gone.signal);
  }

  return {
    watchAlerts(call) {
      watch(call).then(
        () => call.end(),
        (error: unknown) => call.emit('error', statusOf(error, 'watching alerts', logger)),
      );
    },
    acknowledgeAlerts: unary('acknowledging alerts', logger, async (call) => {
      await store.acknowledgeAlerts(await ownId(call), call.request.cursor, clock.wallUs());
      return {};
    }),
  };
}
