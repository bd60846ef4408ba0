import type { Writable } from 'node:stream';
import type { ServiceError } from '@grpc/grpc-js';
import { TributaryError } from '@tributary/core/errors/tributary-error';
import type { IncidentServiceClient, ListIncidentsResponse } from '@tributary/proto/gen/tributary/v1/incident';
import { ask } from '../query/query-client.js';

const DONE = {
  acknowledgeIncident: 'acknowledged',
  commentIncident: 'commented',
  resolveIncident: 'resolved',
} as const;

type Deed = (
  request: { incidentId: Uint8Array; comment: string },
  done: (error: ServiceError | null, response: object) => void,
) => unknown;

/** Does something to an incident, and says so in a line. */
export async function tellIncident(
  client: IncidentServiceClient,
  method: keyof typeof DONE,
  id: string,
  comment: string,
  out: Writable,
): Promise<void> {
  const incidentId = await findIncidentId(client, id);
  const deed = (client[method] as Deed).bind(client);
  await ask<object>((done) => deed({ incidentId, comment }, done));
  out.write(`${Buffer.from(incidentId).toString('hex')}: ${DONE[method]}\n`);
}

/**
 * The id that is meant by its first digits. Rejects with a `TributaryError` when these are none, when no incident begins
 * so, or several do.
 */
export async function findIncidentId(client: IncidentServiceClient, text: string): Promise<Uint8Array> {
  const digits = text.toLowerCase();
  if (!/^[0-9a-f]{8,32}$/.test(digits)) {
    throw new TributaryError('usage', `${text}: no id of an incident; write at least its first 8 hexadecimal digits`);
  }
  if (digits.length === 32) return Uint8Array.from(Buffer.from(digits, 'hex'));
  const page = await ask<ListIncidentsResponse>((done) =>
    client.listIncidents(
      {
        device: '',
        range: undefined,
        openOnly: false,
        withRetracted: true,
        rule: '',
        pageSize: 2,
        pageToken: '',
        idPrefix: digits,
      },
      done,
    ),
  );
  const [found, other] = page.incidents;
  if (found === undefined) throw new TributaryError('not-found', `${text}: no incident begins so`);
  if (other !== undefined) throw new TributaryError('usage', `${text}: several incidents begin so; write more digits`);
  return found.incidentId;
}
