import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles } from '@tributary/core/identity/tls-files';
import { AlertServiceClient, type WatchAlertsResponse } from '@tributary/proto/gen/tributary/v1/alert';

// Many devices' alert streams in one process, so that one signal freezes them all. Arguments: the collector's port, a folder
// of certificates, names of devices. It tells how many alerts it has, one JSON line at a time.

const TELL_MS = 200;
const AGAIN_MS = 500;

const [port, pki, ...devices] = process.argv.slice(2);
const counts = { received: 0, watching: 0, outOfOrder: 0, ended: 0 };

function watch(client: AlertServiceClient, cursor: number): void {
  let last = cursor;
  let isOver = false;
  const call = client.watchAlerts({ cursor });
  counts.watching++;
  call.on('data', ({ message }: WatchAlertsResponse) => {
    if (message?.$case !== 'alert') return;
    if (message.value.number !== last + 1) counts.outOfOrder++;
    last = message.value.number;
    counts.received++;
  });
  const again = () => {
    if (isOver) return;
    isOver = true;
    counts.watching--;
    counts.ended++;
    setTimeout(() => watch(client, last), AGAIN_MS);
  };
  call.on('error', again);
  call.on('end', again);
}

for (const device of devices) {
  const files = { ca: `${pki}/ca.pem`, cert: `${pki}/device-${device}.pem`, key: `${pki}/device-${device}-key.pem` };
  const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_channelz': 0 };
  watch(new AlertServiceClient(`127.0.0.1:${port}`, clientCredentials(loadTlsFiles(files)), options), 0);
}
setInterval(() => process.stdout.write(`${JSON.stringify(counts)}\n`), TELL_MS);
