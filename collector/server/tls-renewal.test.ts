import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { TlsMaterial } from '@tributary/core/identity/tls-files';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { TlsRenewal } from './tls-renewal.js';

const material = (name: string): TlsMaterial => ({
  ca: Buffer.from('ca'),
  cert: Buffer.from(name),
  key: Buffer.from('key'),
  identity: { kind: 'collector', trustDomain: 'example.org', name: 'c', tenant: undefined } as TlsMaterial['identity'],
  notAfterMs: 0,
});

function setUp() {
  const used: string[] = [];
  const said: string[] = [];
  const state: { disk: TlsMaterial | TributaryError; fire: () => void } = { disk: material('old'), fire: () => {} };
  const renewal = new TlsRenewal(material('old'), {
    scheduler: {
      nowMs: () => 0,
      setTimer: (_, fire) => {
        state.fire = fire;
        return () => {
          state.fire = () => {};
        };
      },
    },
    logger: pino({}, { write: (line: string) => said.push((JSON.parse(line) as { msg: string }).msg) }),
    read: () => {
      if (state.disk instanceof TributaryError) throw state.disk;
      return state.disk;
    },
    use: ({ cert }) => used.push(cert.toString()),
  });
  renewal.start();
  return { renewal, state, used, said };
}

describe('the renewal of certificates', () => {
  it('takes renewed ones by itself, once, and leaves what has not changed', () => {
    const { state, used, said } = setUp();
    state.fire();
    expect(used).toEqual([]);
    state.disk = material('new');
    state.fire();
    state.fire();
    expect(used).toEqual(['new']);
    expect(said).toEqual(['renewed certificates are in use']);
  });

  it('keeps the old ones while the files are not in order, says so once, and takes them when they are', () => {
    const { state, used, said } = setUp();
    state.disk = new TributaryError('config', 'tls.key: the key does not belong to the certificate');
    state.fire();
    state.fire();
    expect(used).toEqual([]);
    expect(said).toEqual(['the certificates cannot be used; the old ones stay']);
    state.disk = material('new');
    state.fire();
    expect(used).toEqual(['new']);
  });

  it('takes what is there when it is told to, throws when that is no good, and ends', () => {
    const { renewal, state, used } = setUp();
    renewal.reload();
    expect(used).toEqual(['old']);
    state.disk = new TributaryError('config', 'missing');
    expect(() => renewal.reload()).toThrow('missing');
    state.disk = material('new');
    renewal.stop();
    state.fire();
    expect(used).toEqual(['old']);
  });
});
