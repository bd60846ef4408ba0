import { formatAddress } from '@tributary/core/config/address';
import type { AlertDesk } from '../alerts/alert-desk.js';
import { AlertWatch } from '../alerts/alert-watch.js';
import { Uplink, type UplinkDeps } from '../uplink/uplink.js';
import type { UplinkCoreOptions } from '../uplink/uplink-core.js';
import type { LinkFactory, UplinkLink } from '../uplink/uplink-link.js';
import type { ConnectionSettings } from './connection-settings.js';

/** What the upstream side needs beyond what it makes itself. */
export interface UpstreamOptions extends UplinkCoreOptions {
  connection: ConnectionSettings;
  deps: Omit<UplinkDeps, 'connect' | 'linked' | 'unlinked'> & {
    /** Whether a collector waits for readings now. */
    linked(isLinked: boolean): void;
    /** Where alerts go. */
    desk: AlertDesk;
    /** A link of another kind, for simulations. */
    connect?: LinkFactory;
  };
}

/** The uplink and the alerts, which share its connection. */
export interface Upstream {
  uplink: Uplink;
  alerts: AlertWatch;
}

/**
 * Makes everything that talks to the collector. This module brings gRPC with it, so it is loaded after the sources are
 * running: no reading waits for it.
 */
export async function createUpstream(options: UpstreamOptions): Promise<Upstream> {
  const { deps } = options;
  const connect = deps.connect ?? (await grpcLinks(options));
  const alerts = new AlertWatch(options.identity.alertCursor, {
    desk: deps.desk,
    scheduler: deps.scheduler,
    random: options.random,
    log: deps.log,
    registerAgain: () => uplink.registerAgain(),
  });
  const uplink: Uplink = new Uplink(options, {
    ...deps,
    connect,
    linked: (link: UplinkLink, alertCursor: number) => {
      alerts.attach(link, alertCursor);
      deps.linked(true);
    },
    unlinked: () => {
      alerts.detach();
      deps.linked(false);
    },
  });
  return { uplink, alerts };
}

/** Settings and certificates are read for each connection, so that changed ones are used without a restart. */
async function grpcLinks({ connection, agentVersion, deps }: UpstreamOptions): Promise<LinkFactory> {
  const { GrpcLink } = await import('../uplink/grpc-link.js');
  const { clientCredentials } = await import('@tributary/core/identity/client-credentials');
  const unreadable = (details: string) =>
    deps.log.warn({ details }, 'the TLS files cannot be read; the ones in memory are used');
  return (events) =>
    new GrpcLink(
      {
        address: formatAddress(connection.address),
        serverName: connection.serverName,
        credentials: clientCredentials(connection.material(unreadable)),
        userAgent: `tributary-agent/${agentVersion}`,
      },
      events,
    );
}
