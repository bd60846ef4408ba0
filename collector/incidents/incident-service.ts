import type { Clock } from '@tributary/core/clock/clock';
import { formatSpiffeId, type Identity } from '@tributary/core/identity/spiffe-id';
import { IncidentEventKind, type IncidentServiceServer } from '@tributary/proto/gen/tributary/v1/incident';
import type { Logger } from 'pino';
import { isAllTime, pageLimit, span, tokenNumbers } from '../query/page.js';
import { deviceReference, ReadScope } from '../query/read-scope.js';
import { CallError } from '../server/call-error.js';
import type { AuthenticatedCall } from '../server/caller.js';
import { unary } from '../server/unary.js';
import type { IncidentNote, StoredIncident } from '../store/incidents.js';
import type { Store } from '../store/store.js';
import { checkComment, checkIdPrefix, checkIncidentId, checkPattern } from './incident-request.js';
import { type IncidentContext, incidentViews } from './incident-view.js';
import { matchingStates, RULE_STATES_MAX } from './rule-states.js';
import { checkSilence, checkSilenceId } from './silence-request.js';

export interface IncidentServiceOptions extends IncidentContext {
  store: Store;
  /** Who calls, from the certificate; throws a `CallError` for nobody. */
  identityOf: (call: AuthenticatedCall) => Identity;
  clock: Pick<Clock, 'wallUs'>;
  logger: Logger;
  /** People have changed something that others wait for: of an incident of a device, or (undefined) of the silences. */
  changed: (deviceId: number | undefined) => void;
}

/** What people see of incidents and do about them. An operator may do everything, a device may read its own. */
export function incidentService(options: IncidentServiceOptions): IncidentServiceServer {
  const { store, clock, logger, changed } = options;
  const scopeOf = (call: AuthenticatedCall) => new ReadScope(store, options.identityOf(call));

  /** The SPIFFE id of the operator who calls. */
  const operatorOf = (call: AuthenticatedCall): string => {
    const identity = options.identityOf(call);
    if (identity.kind === 'operator') return formatSpiffeId(identity);
    throw new CallError('denied', `only an operator may do this, not a ${identity.kind}`);
  };

  const note = async (incidentId: Uint8Array, kind: IncidentNote['kind'], by: string, text: string) => {
    const outcome = await store.noteIncident(incidentId, { kind, atUs: clock.wallUs(), by, text });
    if (outcome === 'unknown') throw noIncident(incidentId);
    if (outcome === 'over') throw new CallError('conflict', 'the incident is over; there is nothing to acknowledge');
    if (outcome === 'full') {
      throw new CallError('exhausted', "the incident's history has all the comments that it may have");
    }
    if (outcome !== 'noted') return;
    logger.info({ incident: hex(incidentId), by }, `an incident was ${word(kind)}`);
    changed((await store.findIncident(incidentId))?.deviceId);
  };

  return {
    listIncidents: unary('listing incidents', logger, async (call) => {
      const { device, range, openOnly, withRetracted, rule, pageSize, pageToken, idPrefix } = call.request;
      const pattern = checkPattern('rule', rule);
      const prefix = checkIdPrefix(idPrefix);
      const [after] = tokenNumbers(pageToken, 1);
      if (!isAllTime(range) && span(range).fromUs >= span(range).untilUs) {
        throw new CallError('invalid', 'range: it ends before it begins; exchange from_us and until_us');
      }
      const found = await scopeOf(call).oneOrAll(device);
      const filter = {
        openOnly,
        withRetracted,
        ...(found === undefined ? {} : { deviceId: found.deviceId }),
        ...(pattern === undefined ? {} : { rule: pattern }),
        ...(prefix === undefined ? {} : { idPrefix: prefix }),
        ...(isAllTime(range) ? {} : { range: span(range) }),
      };
      const { incidents, next } = await store.readIncidents(filter, after === 0 ? '' : pageToken, pageLimit(pageSize));
      return { incidents: await incidentViews(options, incidents, clock.wallUs()), nextPageToken: next };
    }),

    getIncident: unary('reading an incident', logger, async (call) => {
      const scope = scopeOf(call);
      const incidentId = checkIncidentId(call.request.incidentId);
      const stored = await store.findIncident(incidentId);
      if (stored === undefined || !mayRead(scope, stored)) throw noIncident(incidentId);
      const events = await store.incidentEvents(incidentId);
      const missing = stored.events - events.length;
      if (missing > 0) {
        const text = `${missing} further entries found no room`;
        events.push({ kind: IncidentEventKind.UNSPECIFIED, atUs: 0, by: '', text });
      }
      const [incident] = await incidentViews(options, [stored], clock.wallUs());
      return { incident, events };
    }),

    acknowledgeIncident: unary('acknowledging an incident', logger, async (call) => {
      const by = operatorOf(call);
      const comment = checkComment(call.request.comment);
      await note(checkIncidentId(call.request.incidentId), IncidentEventKind.ACKNOWLEDGED, by, comment);
      return {};
    }),

    commentIncident: unary('commenting an incident', logger, async (call) => {
      const by = operatorOf(call);
      const comment = checkComment(call.request.comment);
      if (comment === '') throw new CallError('invalid', 'comment: empty; write what others should know');
      await note(checkIncidentId(call.request.incidentId), IncidentEventKind.COMMENTED, by, comment);
      return {};
    }),

    resolveIncident: unary('resolving an incident', logger, async (call) => {
      const by = operatorOf(call);
      const comment = checkComment(call.request.comment);
      const incidentId = checkIncidentId(call.request.incidentId);
      const resolved = await store.resolveIncident(incidentId, by, comment, clock.wallUs());
      if (resolved.outcome === 'unknown') throw noIncident(incidentId);
      if (resolved.outcome === 'resolved') {
        logger.info({ incident: hex(incidentId), by }, 'an incident was resolved by hand');
        changed(resolved.deviceId);
      }
      return {};
    }),

    createSilence: unary('making a silence', logger, async (call) => {
      const by = operatorOf(call);
      const silence = await store.createSilence(checkSilence(call.request.silence, by, clock.wallUs()));
      if (silence === undefined) {
        throw new CallError('exhausted', 'there are as many silences as there may be; expire one that is not needed');
      }
      logger.info({ silence: silence.silenceId, by }, 'a silence was made');
      changed(undefined);
      return { silence };
    }),

    listSilences: unary('listing silences', logger, async (call) => {
      operatorOf(call);
      const { withExpired, pageSize, pageToken } = call.request;
      const endAfterUs = withExpired ? Number.NEGATIVE_INFINITY : clock.wallUs();
      const [after] = tokenNumbers(pageToken, 1);
      const { silences, next } = await store.listSilences(endAfterUs, after!, pageLimit(pageSize));
      return { silences, nextPageToken: next === 0 ? '' : String(next) };
    }),

    expireSilence: unary('ending a silence', logger, async (call) => {
      const by = operatorOf(call);
      const silenceId = checkSilenceId(call.request.silenceId);
      const outcome = await store.expireSilence(silenceId, clock.wallUs());
      if (outcome === 'unknown') throw new CallError('not-found', `there is no silence ${silenceId}`);
      if (outcome === 'expired') {
        logger.info({ silence: silenceId, by }, 'a silence was ended');
        changed(undefined);
      }
      return {};
    }),

    listRuleStates: unary('listing the states of rules', logger, async (call) => {
      const scope = scopeOf(call);
      const pattern = checkPattern('rule', call.request.rule) ?? '*';
      const found = await scope.one(call.request.device);
      if (options.rules === undefined) throw new CallError('unavailable', 'this collector evaluates no rules');
      const standing = options.rules.ruleStates(found.deviceId);
      const states = matchingStates(standing, pattern, deviceReference(found.name));
      if (states.length > RULE_STATES_MAX) {
        const detail = `${states.length} states; at most ${RULE_STATES_MAX} are answered, ask for fewer rules`;
        throw new CallError('exhausted', `rule: ${detail}`);
      }
      return { states };
    }),
  };
}

/** What is another's is not there for a device. */
function mayRead({ own }: ReadScope, { tenant, alert }: StoredIncident): boolean {
  return own === undefined || (own.tenant === tenant && own.device === alert.device);
}

function noIncident(incidentId: Uint8Array): CallError {
  return new CallError('not-found', `there is no incident ${hex(incidentId)}`);
}

function word(kind: IncidentEventKind): string {
  return kind === IncidentEventKind.ACKNOWLEDGED ? 'acknowledged' : 'commented';
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
