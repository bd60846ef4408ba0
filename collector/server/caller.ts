import type { ServerUnaryCall } from '@grpc/grpc-js';
import { peerIdentity } from '@tributary/core/identity/peer-identity';
import type { Identity } from '@tributary/core/identity/spiffe-id';
import type { DeviceName } from '../store/store.js';
import { CallError } from './call-error.js';

/** What is needed of a call of any shape. */
export type AuthenticatedCall = Pick<ServerUnaryCall<unknown, unknown>, 'getAuthContext'>;

/** Who calls, from the certificate and from nothing else. Throws a `CallError` for a certificate that names nobody. */
export function callerOf(call: AuthenticatedCall, trustDomain: string): Identity {
  const names = call.getAuthContext().sslPeerCertificate?.subjectaltname;
  const peer = peerIdentity(names, trustDomain);
  if (!peer.ok) throw new CallError('denied', peer.detail);
  return peer.identity;
}

/** The device that calls. Throws a `CallError` when somebody else does. */
export function deviceOf(call: AuthenticatedCall, trustDomain: string): DeviceName {
  const identity = callerOf(call, trustDomain);
  if (identity.kind !== 'device') throw new CallError('denied', `only a device may do this, not a ${identity.kind}`);
  return { tenant: identity.tenant ?? '', device: identity.device };
}
