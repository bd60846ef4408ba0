import { TributaryError } from '@tributary/core/errors/tributary-error';
import { loadTlsFiles, type TlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';

/** Loads a collector's certificates. Throws a `TributaryError` (code `config`) also when they are not a collector's. */
export function collectorTls(files: TlsFiles, trustDomain: string): TlsMaterial {
  const material = loadTlsFiles(files);
  const { identity } = material;
  if (identity.kind !== 'collector') {
    const message = `${files.cert}: it names a ${identity.kind}, and devices call collectors only; issue one with "tributary-collector pki server"`;
    throw new TributaryError('config', message);
  }
  if (identity.trustDomain !== trustDomain) {
    const message = `${files.cert}: it is of the trust domain ${identity.trustDomain}; set trustDomain to it, or issue another (now ${trustDomain})`;
    throw new TributaryError('config', message);
  }
  return material;
}
