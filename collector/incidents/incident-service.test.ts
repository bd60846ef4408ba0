import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, type ClientReadableStream, type MethodDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { clientCredentials } from '@tributary/core/identity/client-credentials';
import { loadTlsFiles, type TlsFiles } from '@tributary/core/identity/tls-files';
import {
  type Alert,
  AlertServiceService,
  AlertState,
  type WatchAlertsResponse,
} from '@tributary/proto/gen/tributary/v1/alert';
import {
  type Incident,
  IncidentEventKind,
  IncidentServiceService,
  type ListIncidentsRequest,
  type Silence,
} from '@tributary/proto/gen/tributary/v1/incident';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Collector } from '../collector.js';
import { TestClient } from '../collector-client.fixture.js';
import { batchBody, item } from '../ingest/ingest-fixture.js';
import { TestSite } from '../test-site.fixture.js';

const ADA = 'spiffe://example.org/operator/ada';
const HOUR_US = 3600e6;

let site: TestSite;
let collector: Collector;
let pump: Sensor;
let valve: Sensor;
let ada: Caller;

/** Calls the incident service under a certificate. */
class Caller {
  readonly #client: Client;

  constructor(files: TlsFiles) {
    this.#client = new Client(`127.0.0.1:${collector.address.port}`, clientCredentials(loadTlsFiles(files)), {
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  call<Request, Response>(
    { path, requestSerialize, responseDeserialize }: MethodDefinition<Request, Response>,
    request: Request,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, response) =>
        error === null && response !== undefined ? resolve(response) : reject(error),
      );
    });
  }

  list(changes: Partial<ListIncidentsRequest> = {}) {
    const all: ListIncidentsRequest = {
      device: '',
      range: undefined,
      openOnly: false,
      withRetracted: false,
      rule: '',
      pageSize: 0,
      pageToken: '',
      idPrefix: '',
    };
    return this.call(IncidentServiceService.listIncidents, { ...all, ...changes });
  }

  async get(incidentId: Uint8Array) {
    const { incident, events } = await this.call(IncidentServiceService.getIncident, { incidentId });
    const words = events.map(({ kind, text }) => `${IncidentEventKind[kind]} ${text}`.trim());
    return { incident: incident as Incident, events, words };
  }

  silence(silence: Partial<Silence>) {
    const whole: Silence = {
      silenceId: '',
      matchers: { globs: { device: 'pump' } },
      fromUs: 0,
      untilUs: nowUs() + HOUR_US,
      comment: '',
      createdBy: '',
      createdAtUs: 0,
      ...silence,
    };
    return this.call(IncidentServiceService.createSilence, { silence: whole });
  }

  close(): void {
    this.#client.close();
  }
}

/** A device whose one series says what the test wants; above 80 is hot. */
class Sensor {
  readonly alerts: Alert[] = [];
  readonly caller: Caller;
  readonly #client: TestClient;
  readonly #epoch = randomBytes(16);
  #fencingToken = 0;
  #sequence = 0;
  #watch: ClientReadableStream<WatchAlertsResponse> | undefined;

  constructor(files: TlsFiles) {
    this.caller = new Caller(files);
    this.#client = new TestClient(collector.address.port, files);
  }

  async begin(): Promise<this> {
    ({ fencingToken: this.#fencingToken } = await this.#client.register(this.#epoch));
    this.#watch = this.#client.watch(0);
    this.#watch.on('data', ({ message }: WatchAlertsResponse) => {
      if (message?.$case === 'alert') this.alerts.push(message.value);
    });
    this.#watch.on('error', () => {});
    return this;
  }

  async says(...values: number[]): Promise<void> {
    for (const value of values) {
      const sequence = ++this.#sequence;
      const body = batchBody([value], { startUs: sequence * 1e6 });
      const one = item(sequence, body, { readings: 1, readingsBefore: sequence - 1 }, this.#epoch);
      const header = { epoch: this.#epoch, fencingToken: this.#fencingToken };
      const { durable } = await this.#client.upload(header, [one]);
      expect(durable).toEqual([{ first: sequence, last: sequence }]);
    }
  }

  /** The alert of this number, once it has come. */
  async alert(number: number): Promise<Alert> {
    await vi.waitFor(() => expect(this.alerts.length).toBeGreaterThanOrEqual(number), { timeout: 10_000 });
    return this.alerts[number - 1]!;
  }

  close(): void {
    this.#watch?.cancel();
    this.#client.close();
    this.caller.close();
  }
}

beforeAll(async () => {
  site = await TestSite.make('incidents');
  writeFileSync(
    join(site.root, 'rules.yaml'),
    `rules:
  - { name: hot, select: { name: temperature }, above: 80, labels: { team: heat } }
  - { name: very.hot, select: { name: temperature }, above: 500 }
`,
  );
  collector = await site.start('incidents', 'rules: rules.yaml');
  pump = await new Sensor(site.device).begin();
  valve = await new Sensor(await site.issueDevice('valve', 'acme')).begin();
  ada = new Caller(await site.issueOperator('ada'));
});

afterAll(async () => {
  for (const one of [pump, valve, ada]) one.close();
  await collector.stop();
  site.remove();
});

const statusOfCall = (call: Promise<unknown>): Promise<[number, string]> =>
  call.then(
    () => [status.OK, ''],
    ({ code, details }: ServiceError) => [code, details],
  );

describe('the incident service', () => {
  it('shows operators every incident, and a device its own', async () => {
    await pump.says(20, 95);
    await valve.says(20, 99);
    const first = await pump.alert(1);
    const second = await valve.alert(1);
    const { incidents } = await ada.list();
    expect(incidents).toMatchObject([
      { tenant: 'acme', alert: { device: 'valve', rule: 'hot', value: 99 }, notified: true, resolvedAtUs: undefined },
      { tenant: '', alert: { device: 'pump', value: 95, state: AlertState.FIRING, labels: { team: 'heat' } } },
    ]);
    expect((await ada.list({ device: 'acme/valve' })).incidents).toHaveLength(1);
    expect((await pump.caller.list()).incidents.map(({ incidentId }) => incidentId)).toEqual([first.incidentId]);
    expect((await pump.caller.get(first.incidentId)).words).toEqual(['FIRED']);
    expect(await statusOfCall(pump.caller.list({ device: 'acme/valve' }))).toMatchObject([
      status.PERMISSION_DENIED,
      {},
    ]);
    const foreign = await statusOfCall(pump.caller.get(second.incidentId));
    expect(foreign).toEqual(await statusOfCall(pump.caller.get(second.incidentId)));
    expect(foreign[0]).toBe(status.NOT_FOUND);
  });

  it('lists in pages, by rule, time, state and the first digits of the id', async () => {
    const page = await ada.list({ pageSize: 1 });
    const rest = await ada.list({ pageSize: 1, pageToken: page.nextPageToken });
    expect([...page.incidents, ...rest.incidents].map(({ alert }) => alert?.device)).toEqual(['valve', 'pump']);
    const [{ incidentId, startedAtUs }] = rest.incidents;
    const idPrefix = Buffer.from(incidentId).toString('hex').slice(0, 9).toUpperCase();
    expect((await ada.list({ idPrefix })).incidents).toMatchObject([{ incidentId }]);
    expect((await ada.list({ rule: 'h?t', openOnly: true })).incidents).toHaveLength(2);
    expect((await ada.list({ rule: 'cold*' })).incidents).toEqual([]);
    const before = { fromUs: startedAtUs - 2 * HOUR_US, untilUs: startedAtUs - HOUR_US };
    expect((await ada.list({ device: 'pump', range: before })).incidents).toEqual([]);
    expect((await ada.list({ device: 'pump', range: { fromUs: startedAtUs, untilUs: 0 } })).incidents).toHaveLength(1);
  });

  it('keeps who has acknowledged and commented, and when, and lets no device do it', async () => {
    const { incidentId } = await pump.alert(1);
    const from = nowUs();
    const { acknowledgeIncident, commentIncident } = IncidentServiceService;
    await ada.call(acknowledgeIncident, { incidentId, comment: ' on my way\n' });
    await ada.call(acknowledgeIncident, { incidentId, comment: 'again' });
    await ada.call(commentIncident, { incidentId, comment: 'the fan\nis stuck' });
    const { incident, events, words } = await ada.get(incidentId);
    expect(words).toEqual(['FIRED', 'ACKNOWLEDGED on my way', 'COMMENTED the fan\nis stuck']);
    expect(incident).toMatchObject({ acknowledgedBy: ADA });
    expect(incident.acknowledgedAtUs).toBeGreaterThanOrEqual(from);
    expect(events[1]).toMatchObject({ by: ADA, atUs: incident.acknowledgedAtUs });
    for (const method of [acknowledgeIncident, commentIncident, IncidentServiceService.resolveIncident]) {
      expect(await statusOfCall(pump.caller.call(method, { incidentId, comment: 'x' }))).toEqual([
        status.PERMISSION_DENIED,
        'only an operator may do this, not a device',
      ]);
    }
  });

  it('tells the device of an end by hand, takes the rule at its word only for a new onset', async () => {
    const { incidentId } = await pump.alert(1);
    await ada.call(IncidentServiceService.resolveIncident, { incidentId, comment: 'the fan was replaced' });
    await ada.call(IncidentServiceService.resolveIncident, { incidentId, comment: 'again' });
    expect(await pump.alert(2)).toMatchObject({ incidentId, state: AlertState.RESOLVED, late: false });
    // It is hot still, then it is not, then it is again.
    await pump.says(96, 20, 97);
    const third = await pump.alert(3);
    expect(third).toMatchObject({ number: 3, state: AlertState.FIRING, value: 97 });
    expect(third.incidentId).not.toEqual(incidentId);
    const { incident, words } = await ada.get(incidentId);
    expect(incident).toMatchObject({ resolvedBy: ADA });
    expect(words.slice(-2)).toEqual([
      'RESOLVED_BY_HAND the fan was replaced',
      'RESOLVED by its readings too, after it was resolved by hand',
    ]);
    const over = ada.call(IncidentServiceService.acknowledgeIncident, {
      incidentId: (await valve.alert(1)).incidentId,
      comment: '',
    });
    expect((await statusOfCall(over))[0]).toBe(status.OK);
    await valve.says(10);
    await valve.alert(2);
    await valve.says(98, 10);
    const { incidentId: ended } = await valve.alert(4);
    expect(
      await statusOfCall(ada.call(IncidentServiceService.acknowledgeIncident, { incidentId: ended, comment: '' })),
    ).toEqual([status.FAILED_PRECONDITION, 'the incident is over; there is nothing to acknowledge']);
  });

  it('notes what the device has stored', async () => {
    const { incidentId } = await pump.alert(3);
    await pump.caller.call(AlertServiceService.acknowledgeAlerts, { cursor: 3 });
    expect((await ada.get(incidentId)).words).toEqual(['FIRED', 'DELIVERED firing']);
  });

  it('silences what matches until the silence ends, and says so', async () => {
    const from = nowUs();
    const { silence } = await ada.silence({ matchers: { globs: { rule: 'h*', 'series.room': 'a', tenant: '' } } });
    expect(silence).toMatchObject({ createdBy: ADA, comment: '' });
    expect(silence?.fromUs).toBe(silence?.createdAtUs);
    expect(silence?.fromUs).toBeGreaterThanOrEqual(from);
    const { silence: planned } = await ada.silence({ fromUs: nowUs() + HOUR_US, untilUs: nowUs() + 2 * HOUR_US });
    const open = await ada.list({ openOnly: true });
    expect(open.incidents).toMatchObject([{ alert: { device: 'pump' }, silencedBy: [silence?.silenceId] }]);
    const closed = (await ada.list({ device: 'acme/valve' })).incidents;
    expect(closed.map(({ silencedBy }) => silencedBy)).toEqual([[], []]);
    const { listSilences, expireSilence } = IncidentServiceService;
    const listed = { withExpired: false, pageSize: 1, pageToken: '' };
    const page = await ada.call(listSilences, listed);
    expect(page.silences).toEqual([planned]);
    expect((await ada.call(listSilences, { ...listed, pageToken: page.nextPageToken })).silences).toEqual([silence]);
    const silenceId = silence?.silenceId ?? '';
    await ada.call(expireSilence, { silenceId });
    await ada.call(expireSilence, { silenceId });
    expect((await ada.list({ openOnly: true })).incidents).toMatchObject([{ silencedBy: [] }]);
    expect((await ada.call(listSilences, { ...listed, pageSize: 10 })).silences).toEqual([planned]);
    expect((await ada.call(listSilences, { ...listed, pageSize: 10, withExpired: true })).silences).toHaveLength(2);
    const denied = [
      pump.caller.silence({}),
      pump.caller.call(listSilences, listed),
      pump.caller.call(expireSilence, { silenceId }),
    ];
    const codes = (await Promise.all(denied.map(statusOfCall))).map(([code]) => code);
    expect(codes).toEqual(denied.map(() => status.PERMISSION_DENIED));
  });

  it('says what is wrong with a call: the field, what it holds and what would be right', async () => {
    const incidentId = randomBytes(16);
    const { getIncident, commentIncident, acknowledgeIncident, resolveIncident, expireSilence } =
      IncidentServiceService;
    const wrong: [Promise<unknown>, status, string][] = [
      [ada.call(getIncident, { incidentId: randomBytes(3) }), status.INVALID_ARGUMENT, 'incident_id: 3 bytes; the 16'],
      [ada.call(getIncident, { incidentId }), status.NOT_FOUND, `no incident ${incidentId.toString('hex')}`],
      [ada.call(acknowledgeIncident, { incidentId, comment: '' }), status.NOT_FOUND, 'there is no incident'],
      [ada.call(resolveIncident, { incidentId, comment: '' }), status.NOT_FOUND, 'there is no incident'],
      [ada.call(commentIncident, { incidentId, comment: ' ' }), status.INVALID_ARGUMENT, 'comment: empty'],
      [
        ada.call(commentIncident, { incidentId, comment: 'ä'.repeat(1001) }),
        status.INVALID_ARGUMENT,
        'comment: 2002 bytes; at most 2000',
      ],
      [
        ada.call(commentIncident, { incidentId, comment: '\u001b[2J' }),
        status.INVALID_ARGUMENT,
        'the control character U+001b',
      ],
      [ada.list({ idPrefix: 'abc' }), status.INVALID_ARGUMENT, 'id_prefix: "abc"; the first 8 to 32'],
      [ada.list({ pageToken: 'x' }), status.INVALID_ARGUMENT, 'page_token: not one'],
      [ada.list({ rule: 'x'.repeat(300) }), status.INVALID_ARGUMENT, 'rule: 300 characters; at most 256'],
      [ada.list({ range: { fromUs: 5, untilUs: 5 } }), status.INVALID_ARGUMENT, 'range: it ends before it begins'],
      [ada.list({ device: 'nobody' }), status.NOT_FOUND, 'there is no device nobody'],
      [ada.silence({ matchers: undefined }), status.INVALID_ARGUMENT, 'silence.matchers: empty'],
      [ada.silence({ matchers: { globs: { '': 'a' } } }), status.INVALID_ARGUMENT, 'silence.matchers: ""; a label'],
      [ada.silence({ untilUs: 0 }), status.INVALID_ARGUMENT, 'silence.until_us: 0; it must lie after now'],
      [ada.silence({ untilUs: nowUs() + 9000 * HOUR_US }), status.INVALID_ARGUMENT, 'at most 180 days are taken'],
      [
        ada.silence({ fromUs: nowUs() + 9000 * HOUR_US, untilUs: nowUs() + 9001 * HOUR_US }),
        status.INVALID_ARGUMENT,
        'at most 366 days ahead',
      ],
      [ada.silence({ createdBy: 'me' }), status.INVALID_ARGUMENT, 'silence.created_by: me; leave it out'],
      [ada.call(expireSilence, { silenceId: 'x' }), status.INVALID_ARGUMENT, 'silence_id: "x"; the number'],
      [ada.call(expireSilence, { silenceId: '99' }), status.NOT_FOUND, 'there is no silence 99'],
    ];
    const found = await Promise.all(wrong.map(([call]) => statusOfCall(call)));
    expect(found).toEqual(wrong.map(([, code, words]) => [code, expect.stringContaining(words)]));
  });
});

function nowUs(): number {
  return Date.now() * 1000;
}
