import { TributaryError } from '@tributary/core/errors/tributary-error';
import { loadTlsFiles, type TlsFiles, type TlsMaterial } from '@tributary/core/identity/tls-files';

/** Loads a collector's certificates. Throws a `TributaryError` (code `config`) also when they are not a collector's. */
export function collectorTls(files: TlsFiles, trustDomain: string): TlsMaterial {
  const material = loadTlsFiles(files, 'collector');
  const { identity } = material;
  if (identity.trustDomain !== trustDomain) {
    const message = `${files.cert}: it is of the trust domain ${identity.trustDomain}; set trustDomain to it, or issue another (now ${trustDomain})`;
    throw new TributaryError('config', message);
  }
  return material;
}
