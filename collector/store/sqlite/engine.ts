import type Database from 'better-sqlite3';
import { AlertAppend } from './alert-append.js';
import { AlertTable } from './alerts.js';
import { Auditor } from './audit.js';
import { CatalogueTable } from './catalogue.js';
import { ChunkReads } from './chunk-reads.js';
import { Committer } from './commit.js';
import { Compaction } from './compaction.js';
import { DerivedRetention } from './derived-retention.js';
import { DeviceCache } from './device-cache.js';
import { IncidentEvents } from './incident-events.js';
import { IncidentNotes } from './incident-notes.js';
import { IncidentReads } from './incident-reads.js';
import { IncidentTable } from './incident-table.js';
import { NotificationClaims } from './notification-claims.js';
import { NotificationQueue } from './notification-queue.js';
import { Quota } from './quota.js';
import { Registrar } from './registration.js';
import { Retention } from './retention.js';
import { DerivedTables } from './rollups.js';
import { SilenceTable } from './silence-table.js';

/** Whatever changes the store: one transaction a call, in one thread. */
export function writerOperations(db: Database.Database, bytesMax = Number.POSITIVE_INFINITY) {
  const quota = new Quota(db, bytesMax);
  const cache = new DeviceCache(db);
  const registrar = new Registrar(db, cache);
  const committer = new Committer(db, cache);
  const derived = new DerivedTables(db);
  const events = new IncidentEvents(db);
  const queue = new NotificationQueue(db);
  const alerts = new AlertTable(db, events);
  const append = new AlertAppend(db, new IncidentTable(db, events), events, queue);
  const notes = new IncidentNotes(db, events);
  const claims = new NotificationClaims(db, queue, events);
  const silences = new SilenceTable(db, queue);
  const retention = new Retention(db);
  const derivedRetention = new DerivedRetention(db, events, queue);
  const compaction = new Compaction(db);
  return {
    register: quota.bound(registrar.register.bind(registrar)),
    commit: quota.bound(committer.commit.bind(committer)),
    saveDerived: derived.save.bind(derived),
    clearRollups: derived.clear.bind(derived),
    appendAlerts: append.append.bind(append),
    resolveIncident: append.resolve.bind(append),
    noteIncident: notes.note.bind(notes),
    resumeAlerts: alerts.resume.bind(alerts),
    acknowledgeAlertsStep: alerts.acknowledgeStep.bind(alerts),
    createSilence: silences.create.bind(silences),
    expireSilence: silences.expire.bind(silences),
    keepReceiversStep: queue.keepReceiversStep.bind(queue),
    releaseNotifications: queue.release.bind(queue),
    claimNotifications: claims.claim.bind(claims),
    settleNotification: claims.settle.bind(claims),
    probe: quota.probe.bind(quota),
    expireStep: retention.expireStep.bind(retention),
    expireRollupsStep: derivedRetention.expireRollupsStep.bind(derivedRetention),
    expireIncidentsStep: derivedRetention.expireIncidentsStep.bind(derivedRetention),
    compactStep: compaction.compactStep.bind(compaction),
  };
}

/** Whatever only reads, on a connection of its own, so that no query holds up a commit. */
export function readerOperations(db: Database.Database) {
  const reads = new ChunkReads(db);
  const derived = new DerivedTables(db);
  const events = new IncidentEvents(db);
  const queue = new NotificationQueue(db);
  const alerts = new AlertTable(db, events);
  const incidents = new IncidentReads(db, events);
  const silences = new SilenceTable(db, queue);
  const catalogue = new CatalogueTable(db);
  const auditor = new Auditor(db);
  return {
    undigested: reads.undigested.bind(reads),
    derivedMarks: reads.derivedMarks.bind(reads),
    readAfter: reads.readAfter.bind(reads),
    readRange: reads.readRange.bind(reads),
    loadRuleStates: derived.loadRuleStates.bind(derived),
    readRollups: derived.read.bind(derived),
    readAlerts: alerts.readAfter.bind(alerts),
    listAlerts: alerts.list.bind(alerts),
    readIncidents: incidents.list.bind(incidents),
    findIncident: incidents.find.bind(incidents),
    unsettledIncidents: incidents.unsettled.bind(incidents),
    incidentEvents: incidents.events.bind(incidents),
    listSilences: silences.list.bind(silences),
    activeSilences: silences.active.bind(silences),
    receiverStates: queue.states.bind(queue),
    findDevice: catalogue.findDevice.bind(catalogue),
    listDevices: catalogue.listDevices.bind(catalogue),
    listSeries: catalogue.listSeries.bind(catalogue),
    catalogue: catalogue.catalogue.bind(catalogue),
    listEpochs: auditor.listEpochs.bind(auditor),
    auditEpoch: auditor.auditEpoch.bind(auditor),
  };
}

export type WriterOperations = ReturnType<typeof writerOperations>;
export type ReaderOperations = ReturnType<typeof readerOperations>;
