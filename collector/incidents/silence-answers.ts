import type { Writable } from 'node:stream';
import type {
  CreateSilenceResponse,
  ExpireSilenceResponse,
  IncidentServiceClient,
  ListSilencesResponse,
  Silence,
} from '@tributary/proto/gen/tributary/v1/incident';
import { formatUs } from '../query/instant-format.js';
import { ask } from '../query/query-client.js';
import { type Format, type Row, RowWriter } from '../query/row-writer.js';

const PAGE_SIZE = 350;
const COLUMNS = ['silence', 'matches', 'from', 'until', 'created_by', 'created', 'comment'];

/** What is to be silenced; `fromUs` 0 is now. */
export interface NewSilence {
  globs: Record<string, string>;
  fromUs: number;
  untilUs: number;
  comment: string;
}

/** Makes a silence and prints it. */
export async function addSilence(
  client: IncidentServiceClient,
  { globs, fromUs, untilUs, comment }: NewSilence,
  out: Writable,
  format: Format,
): Promise<void> {
  const asked = { matchers: { globs }, fromUs, untilUs, comment, silenceId: '', createdBy: '', createdAtUs: 0 };
  const { silence } = await ask<CreateSilenceResponse>((done) => client.createSilence({ silence: asked }, done));
  const writer = new RowWriter(out, format, COLUMNS);
  await writer.write(silence === undefined ? [] : [row(silence, format)]);
  await writer.end();
}

/** Prints silences, the newest first. */
export async function listSilences(
  client: IncidentServiceClient,
  withExpired: boolean,
  out: Writable,
  format: Format,
): Promise<void> {
  const writer = new RowWriter(out, format, COLUMNS);
  let pageToken = '';
  do {
    const request = { withExpired, pageSize: PAGE_SIZE, pageToken };
    const page = await ask<ListSilencesResponse>((done) => client.listSilences(request, done));
    await writer.write(page.silences.map((silence) => row(silence, format)));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  await writer.end();
}

/** Ends a silence and says so in a line. */
export async function expireSilence(client: IncidentServiceClient, silenceId: string, out: Writable): Promise<void> {
  await ask<ExpireSilenceResponse>((done) => client.expireSilence({ silenceId }, done));
  out.write(`${silenceId}: expired\n`);
}

function row({ silenceId, matchers, fromUs, untilUs, createdBy, createdAtUs, comment }: Silence, format: Format): Row {
  return {
    silence: silenceId,
    matches: matchers?.globs ?? {},
    from: formatUs(fromUs),
    until: formatUs(untilUs),
    created_by: format === 'table' ? (createdBy.split('/').at(-1) ?? '') : createdBy,
    created: formatUs(createdAtUs),
    comment: format === 'table' ? comment.replaceAll(/\s+/g, ' ') : comment,
  };
}
