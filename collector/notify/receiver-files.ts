import type { FileField } from '@tributary/core/config/name-field';
import {
  certificatesIn,
  checkOwnerOnly,
  privateKeyIn,
  readNamedFile,
  wrongFile,
} from '@tributary/core/identity/pem-file';
import type { ReceiverTls } from './http-post.js';
import type { NotifyConfig, ReceiverConfig } from './notify-schema.js';
import { readSecret } from './webhook-signature.js';

/** One line of printable Latin text, as a header may carry it. */
const lineForm = /^[\x20-\x7e\xa0-\xff]{1,4096}$/;

/** What the files of a receiver hold. */
export interface ReceiverSecrets {
  tls: ReceiverTls;
  /** Headers with the values of files, and the one of `basicAuth`. */
  headers: Record<string, string>;
  /** That sign a webhook, the current one first. */
  signing: Buffer[];
}

/** Reads all files of a receiver. Throws a `TributaryError` with code `config` that names the file and the remedy. */
export function readReceiverFiles(config: ReceiverConfig): ReceiverSecrets {
  const tls = readTls(config.tls);
  if (config.kind === 'alertmanager') {
    const { basicAuth } = config;
    if (basicAuth === undefined) return { tls, headers: {}, signing: [] };
    const credentials = `${basicAuth.user}:${readLine(basicAuth.passwordFile, 'password')}`;
    return { tls, headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }, signing: [] };
  }
  const headers = Object.entries(config.headerFiles).map(([name, file]) => [name, readLine(file, 'header')]);
  const secretFiles = [
    config.secretFile,
    ...(config.previousSecretFile === undefined ? [] : [config.previousSecretFile]),
  ];
  return { tls, headers: Object.fromEntries(headers), signing: secretFiles.map(readSecret) };
}

/** The fields of `notify` that name files, so that what is wrong with one is told with its place. */
export function notifyFields({ receivers }: NotifyConfig): FileField[] {
  return receivers.flatMap((receiver, index) => {
    const { ca, cert, key } = receiver.tls;
    const named: [string[], string | undefined][] = [
      [['tls', 'ca'], ca],
      [['tls', 'cert'], cert],
      [['tls', 'key'], key],
    ];
    if (receiver.kind === 'alertmanager') {
      named.push([['basicAuth', 'passwordFile'], receiver.basicAuth?.passwordFile]);
    } else {
      named.push([['secretFile'], receiver.secretFile], [['previousSecretFile'], receiver.previousSecretFile]);
      for (const [name, file] of Object.entries(receiver.headerFiles)) named.push([['headerFiles', name], file]);
    }
    return named.map(([path, file]) => ({ path: ['notify', 'receivers', index, ...path], file }));
  });
}

function readTls({ ca, cert, key }: ReceiverConfig['tls']): ReceiverTls {
  const tls: ReceiverTls = {};
  if (ca !== undefined) {
    tls.ca = readNamedFile(ca, 'the PEM file with CA certificates');
    certificatesIn(ca, tls.ca);
  }
  if (cert !== undefined && key !== undefined) {
    tls.cert = readNamedFile(cert, 'the PEM file with the certificate');
    const [own] = certificatesIn(cert, tls.cert);
    tls.key = readNamedFile(key, 'the PEM file with the private key');
    checkOwnerOnly(key, 'private key');
    if (!own.checkPrivateKey(privateKeyIn(key, tls.key))) {
      throw wrongFile(key, `the key does not belong to the certificate ${cert}; name the key that was made with it`);
    }
  }
  return tls;
}

function readLine(file: string, what: string): string {
  const text = readNamedFile(file, `the file with the ${what}`)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  checkOwnerOnly(file, what);
  if (!lineForm.test(text))
    throw wrongFile(file, `it does not hold one line of text; write the ${what} and nothing else`);
  return text;
}
