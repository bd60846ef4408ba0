import type { Alert } from '@tributary/proto/gen/tributary/v1/alert';

/** A thousand intents may wait, and all of them have to lie beside the readings. */
export const BODY_BYTES_MAX = 2_048;

const empty = new Uint8Array(0);

/** Alerts as they are kept with an intent: the message of the contract. */
export interface AlertBodies {
  /** Without its annotations where it would be too long with them; empty where it is too long even so. */
  encode(alert: Alert): Uint8Array;
  /** Undefined where nothing can be read. */
  decode(body: Uint8Array): Alert | undefined;
}

/** The generated code brings gRPC with it, so it is loaded with the first alert that something is to be done about. */
export async function loadAlertBodies(): Promise<AlertBodies> {
  const { Alert: message } = await import('@tributary/proto/gen/tributary/v1/alert');
  return {
    encode(alert) {
      const whole = message.encode(alert).finish();
      if (whole.length <= BODY_BYTES_MAX) return whole;
      const bare = message.encode({ ...alert, annotations: {} }).finish();
      return bare.length <= BODY_BYTES_MAX ? bare : empty;
    },
    decode(body) {
      if (body.length === 0) return undefined;
      try {
        return message.decode(body);
      } catch {
        return undefined;
      }
    },
  };
}
