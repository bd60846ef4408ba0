import { formatAddress } from '@tributary/core/config/address';
import { loadTlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';
import type { AlertDesk } from '../alerts/alert-desk.js';
import { AlertWatch } from '../alerts/alert-watch.js';
import type { AgentConfig } from '../config/schema.js';
import { Uplink, type UplinkDeps } from '../uplink/uplink.js';
import type { UplinkCoreOptions } from '../uplink/uplink-core.js';
import type { LinkFactory, UplinkLink } from '../uplink/uplink-link.js';

/** What the upstream side needs beyond what it makes itself. */
export interface UpstreamOptions extends UplinkCoreOptions {
  config: AgentConfig;
  /** As they were when the agent started; used again where the files cannot be read later. */
  tls: TlsMaterial;
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

/** Certificates are read again for each connection, so that renewed ones are used without a restart. */
async function grpcLinks({ config, tls, agentVersion, deps }: UpstreamOptions): Promise<LinkFactory> {
  const { GrpcLink } = await import('../uplink/grpc-link.js');
  const { clientCredentials } = await import('@tributary/core/identity/client-credentials');
  let material = tls;
  return (events) => {
    try {
      material = loadTlsFiles(config.tls, 'device');
    } catch (error) {
      // A torn pair or a missing file while certificates are being renewed: the last good ones still hold.
      deps.log.warn({ details: (error as Error).message }, 'the TLS files cannot be read; the ones in memory are used');
    }
    return new GrpcLink(
      {
        address: formatAddress(config.collector.address),
        serverName: config.collector.serverName,
        credentials: clientCredentials(material),
        userAgent: `tributary-agent/${agentVersion}`,
      },
      events,
    );
  };
}
